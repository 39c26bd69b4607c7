#!/usr/bin/env bash
# prepare.sh DIRECTORY: what boot.sh needs to make a virtual machine, fetched once.
#
# Leaves in DIRECTORY: vmlinuz, modules/*.ko (both of one Debian kernel), busybox, cpio. They are
# unpacked from their packages and not installed; only QEMU is, which takes root. Prints nothing
# when all is there; otherwise one line says what is missing, and the status is 125.
set -euo pipefail

directory=$1
here=$(cd "$(dirname "$0")" && pwd)
mapfile -t modules < <(grep -v '^#' "$here/modules")

fail() {
    echo "test-hardware: $*" >&2
    exit 125
}

# Package lists may never have been fetched: a fresh container has none.
need_lists() {
    apt-cache show linux-image-amd64 >/dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] || fail "no package lists: run 'apt-get update' as root, then try again"
    apt-get update -qq >/dev/null || fail "'apt-get update' failed: is there a network?"
}

need_qemu() {
    command -v qemu-system-x86_64 >/dev/null && return
    [ "$(id -u)" = 0 ] || fail "QEMU is missing: as root, apt-get install qemu-system-x86"
    need_lists
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        qemu-system-x86 >/dev/null 2>&1 || fail "'apt-get install qemu-system-x86' failed"
}

# Downloads (package) and unpacks only the files that match (patterns...) below the current directory.
unpack() {
    local package=$1
    shift
    apt-get download -qq "$package" >/dev/null 2>&1 \
        || fail "'apt-get download $package' failed: is there a network? are the lists current?"
    dpkg-deb --fsys-tarfile "${package}"_*.deb | tar -x --wildcards "$@" 2>/dev/null || true
    rm "${package}"_*.deb
}

# Moves the one file that matches (pattern) to (target); nothing there is an error.
keep() {
    local found
    found=$(compgen -G "$1" | head -n 1) || fail "no $1 in its Debian package"
    mv "$found" "$2"
}

fetch_kernel() {
    local package
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
    unpack "$package" './boot/vmlinuz-*' "${modules[@]/#/*/}"
    keep 'boot/vmlinuz-*' kit/vmlinuz
    find lib -name '*.ko' -exec mv -t kit/modules {} +
}

fetch_tools() {
    unpack busybox-static '*/bin/busybox'
    keep 'bin/busybox' kit/busybox
    unpack cpio '*/bin/cpio'
    keep 'bin/cpio' kit/cpio
}

# Builds the kit aside and moves it into place whole, so a run that is cut off leaves nothing half done.
fetch_kit() {
    aside=$(mktemp -d "$directory.XXXXXX")
    trap 'rm -rf "$aside"' EXIT
    cd "$aside" && mkdir -p kit/modules
    fetch_kernel
    fetch_tools
    cp "$here/modules" kit/list
    rm -rf "$directory"
    mv kit "$directory"
}

mkdir -p "$(dirname "$directory")"
exec 9>"$directory.lock"
flock 9 # of two runs that start together, one installs and fetches
need_qemu
cmp -s "$here/modules" "$directory/list" && exit
command -v apt-get >/dev/null || fail "apt-get is missing: the kernel comes from a Debian package"
need_lists
fetch_kit
