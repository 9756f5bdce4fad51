#!/bin/sh
# Memulihkan basis data ke suatu saat: restore.sh CADANGAN DATA SAAT
#   CADANGAN  folder satu cadangan dasar, misalnya /cadangan/base/20261121T010000Z
#   DATA      folder data PostgreSQL yang baru; harus kosong atau belum ada
#   SAAT      misalnya "2026-11-21 09:30:00+07", atau "akhir" untuk semua yang ada
# Lingkungan: BACKUP_WAL    folder arsip WAL (bawaan: ../../wal dari CADANGAN)
#             BACKUP_OWNER  pemilik folder data bila dijalankan oleh root (bawaan: postgres)
# Server hanya disiapkan; sesudahnya dijalankan, lalu `sifilma restored`, baru daemon.
set -eu
[ $# -eq 3 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
backup=$1 data=$2 at=$3
wal=${BACKUP_WAL:-$backup/../../wal}
wal=$(cd "$wal" && pwd)
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -d "$data" ] && [ -n "$(ls -A "$data")" ]; then
	echo "$data tidak kosong; pindahkan dahulu, jangan dihapus sebelum pemulihan terbukti baik." >&2
	exit 1
fi
case $data$wal$at in *"'"*) echo "nama folder dan saat tidak boleh berisi tanda petik" >&2; exit 2 ;; esac
echo "Memeriksa cadangan ..."
pg_verifybackup -q "$backup/data"
[ ! -s "$backup/journals.sha256" ] || (cd "$backup" && sha256sum --quiet -c journals.sha256)
mkdir -p "$data"
chmod 700 "$data"
cp -a "$backup/data/." "$data/"
{
	echo "restore_command = 'cp \"$wal/%f\" \"%p\"'"
	echo "recovery_target_action = 'promote'"
	# Juga bila kosong: cadangan dari server yang pernah dipulihkan membawa saat yang lama.
	[ "$at" != akhir ] || at=
	echo "recovery_target_time = '$at'"
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
[ "$(id -u)" != 0 ] || chown -R "${BACKUP_OWNER:-postgres}:" "$data"
sync -f "$data"
echo "Siap. Langkah berikutnya:"
echo "  1. jalankan PostgreSQL pada $data dan tunggu sampai ia dapat ditulisi"
echo "  2. sifilma restored -by NAMA -reason ALASAN ..."
echo "  3. jalankan RabbitMQ (boleh kosong), lalu daemon"
