#!/bin/sh
# Cadangan dasar seluruh kantor. Tempat dan sambungan dari lingkungan:
#   BACKUP_DIR       folder cadangan, pada disk lain daripada basis data
#   PGHOST, PGPORT, PGUSER, PGPASSWORD/PGPASSFILE   peran dengan hak REPLICATION
#   BACKUP_JOURNALS  folder jurnal stasiun pada mesin ini, dipisah titik dua (boleh kosong)
#   BACKUP_KEEP      banyaknya cadangan dasar yang disimpan (bawaan 7)
set -eu
: "${BACKUP_DIR:?harus diisi}"
keep=${BACKUP_KEEP:-7}
case $keep in '' | *[!0-9]* | 0) echo "BACKUP_KEEP harus bilangan di atas nol" >&2; exit 2 ;; esac
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
base=$BACKUP_DIR/base
mkdir -p "$base" "$BACKUP_DIR/wal"
umask 077
name=$(date -u +%Y%m%dT%H%M%SZ)
new=$base/$name.part
rm -rf "$base"/*.part
echo "Mencadangkan basis data ke $base/$name ..."
pg_basebackup -D "$new/data" -X stream -c fast --manifest-checksums=SHA256 -l "sifilma $name" >&2
pg_verifybackup -q "$new/data"
# Disalin sesudah basis data, agar jurnal tidak pernah lebih tua darinya.
mkdir "$new/journals"
old_ifs=$IFS
IFS=:
for folder in ${BACKUP_JOURNALS:-}; do
	cp -a "$folder" "$new/journals/"
done
IFS=$old_ifs
(cd "$new" && find journals -type f -exec sha256sum {} + >journals.sha256)
sync -f "$new"
mv "$new" "$base/$name"
sync "$base"
echo "Cadangan $name utuh (pg_verifybackup)."
ls -1d "$base"/*Z | sort | head -n "-$keep" | while read -r old; do
	rm -rf "$old"
	echo "Cadangan lama $(basename "$old") dihapus."
done
# WAL sebelum cadangan dasar tertua tidak diperlukan lagi.
oldest=$(ls -1d "$base"/*Z | sort | head -n 1)
first=$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p' "$oldest/data/backup_label")
[ -z "$first" ] || pg_archivecleanup "$BACKUP_DIR/wal" "$first"
echo "Token HSM tidak ikut: cadangkan dengan alat HSM itu sendiri, dan simpan terpisah."
