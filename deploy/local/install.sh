#!/usr/bin/env bash
# Installs what SI-FILMA needs from the distribution, and only what is missing.
# Messages are Indonesian, as all that people read here. Runs before any Go code.
set -euo pipefail

go_minimum=1.26

say() { printf '%s\n' "$*"; }
fail() { printf 'Gagal: %s\n' "$*" >&2; exit 1; }

# --- Go ---------------------------------------------------------------------
check_go() {
    if ! command -v go >/dev/null 2>&1; then
        fail "Go tidak ditemukan. Pasang Go $go_minimum atau lebih baru dari https://go.dev/dl/ lalu pastikan 'go' ada di PATH."
    fi
    local have
    have=$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*$//')
    if [ "$(printf '%s\n%s\n' "$go_minimum" "$have" | sort -V | head -n 1)" != "$go_minimum" ]; then
        fail "Go $have terlalu lama; perlu Go $go_minimum atau lebih baru (https://go.dev/dl/)."
    fi
}

# --- What is missing ----------------------------------------------------------
# One line per need: the package, then a path that shows it is there. A path may be
# a pattern. What is there in another way (built by hand, another package) counts.
needs() {
    cat <<'NEEDS'
postgresql              /usr/lib/postgresql/*/bin/postgres
rabbitmq-server         /usr/lib/rabbitmq/bin/rabbitmq-server
pcscd                   /usr/sbin/pcscd
vsmartcard-vpcd         /usr/lib/pcsc/drivers/serial/libifdvpcd.so* /usr/lib/*/pcsc/drivers/serial/libifdvpcd.so*
libpcsclite-dev         /usr/lib/*/pkgconfig/libpcsclite.pc /usr/lib/pkgconfig/libpcsclite.pc
pkg-config              /usr/bin/pkg-config
gcc                     /usr/bin/gcc
libc6-dev               /usr/include/stdlib.h /usr/include/*/stdlib.h
softhsm2                /usr/bin/softhsm2-util
libreoffice-writer-nogui /usr/lib/libreoffice/program/swriter /usr/lib/libreoffice/program/libswlo.so
poppler-utils           /usr/bin/pdftotext
fonts-liberation        /usr/share/fonts/truetype/liberation*/LiberationSerif-Regular.ttf
iproute2                /sbin/ip /usr/sbin/ip /bin/ip /usr/bin/ip
util-linux              /usr/bin/nsenter
NEEDS
}

present() {
    local path
    for path in "$@"; do
        compgen -G "$path" >/dev/null && return 0
    done
    return 1
}

missing_packages() {
    local package paths
    while read -r package paths; do
        # shellcheck disable=SC2086 # several patterns, none with spaces
        present $paths || printf '%s\n' "$package"
    done < <(needs)
}

# --- Installing ---------------------------------------------------------------
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Freshly installed services start by themselves unless policy-rc.d says no (exit
# 101). A policy that was there before comes back afterwards, also after a failure.
policy=/usr/sbin/policy-rc.d
policy_kept=$policy.sifilma-semula
policy_mark='# SI-FILMA: layanan tidak dinyalakan selama pemasangan'

forbid_starts() {
    # A run that was killed may have left its own policy: that is not "before".
    if as_root test -e "$policy" && ! as_root grep -qF "$policy_mark" "$policy"; then
        as_root cp -a "$policy" "$policy_kept"
    fi
    trap restore_policy EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

restore_policy() {
    if as_root test -e "$policy_kept"; then
        as_root mv -f "$policy_kept" "$policy"
    elif as_root grep -qsF "$policy_mark" "$policy"; then
        as_root rm -f "$policy"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}

# The package lists are fetched only when they do not know what we need, or when
# the archive has moved on since they were fetched.
install_packages() {
    local package known=yes
    for package in "$@"; do
        apt-cache show "$package" >/dev/null 2>&1 || known=no
    done
    if [ "$known" = no ]; then
        apt_get update
    fi
    apt_get install -y --no-install-recommends "$@" && return 0
    [ "$known" = no ] && return 1
    apt_get update
    apt_get install -y --no-install-recommends "$@"
}

# What was installed just now shall not start at the next boot either: RabbitMQ
# would listen on all interfaces. What was there before is left as it is.
keep_off_at_boot() {
    command -v systemctl >/dev/null 2>&1 || return 0
    local package
    for package in "$@"; do
        case $package in
            postgresql) as_root systemctl --quiet disable postgresql.service || true ;;
            rabbitmq-server) as_root systemctl --quiet disable rabbitmq-server.service || true ;;
            epmd) as_root systemctl --quiet disable epmd.service epmd.socket || true ;;
            pcscd) as_root systemctl --quiet disable pcscd.socket || true ;;
        esac
    done 2>/dev/null
}

main() {
    check_go
    local -a missing
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -eq 0 ]; then
        say "Semua perangkat lunak yang diperlukan sudah terpasang."
        return 0
    fi
    say "Perangkat lunak yang belum ada: ${missing[*]}"
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "komputer ini tidak memakai apt (Debian/Ubuntu). Pasang sendiri padanan paket di atas, lalu ulangi perintah ini."
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        fail "pemasangan perlu hak root dan sudo tidak ada. Jalankan sebagai root: apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    say "Paket itu akan dipasang dengan apt-get. Layanan bawaan sistem tidak dinyalakan atau diubah."
    forbid_starts
    local -a wanted=("${missing[@]}") new=("${missing[@]}")
    present /usr/bin/epmd || new+=(epmd) # comes with the broker, has its own unit
    install_packages "${wanted[@]}" || fail "pemasangan paket tidak berhasil; lihat pesan apt-get di atas."
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -ne 0 ]; then
        fail "setelah pemasangan masih belum ada: ${missing[*]}"
    fi
    keep_off_at_boot "${new[@]}"
    say "Pemasangan selesai."
}

main "$@"
