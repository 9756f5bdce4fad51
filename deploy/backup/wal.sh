#!/bin/sh
# archive_command of PostgreSQL: wal.sh %p %f FOLDER. Succeeds only when the
# segment and its name are on the archive's disk.
set -eu
from=$1 name=$2 archive=$3
to=$archive/$name
if [ -e "$to" ]; then
	cmp -s "$from" "$to" && exec sync "$to" "$archive" # archived before a crash could be reported
	echo "wal.sh: $to sudah ada dengan isi lain" >&2
	exit 1
fi
cp "$from" "$to.part"
sync "$to.part"
mv "$to.part" "$to"
sync "$archive"
