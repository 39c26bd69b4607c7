#!/usr/bin/env bash
# boot.sh COMMAND...: runs COMMAND where KVM is hardware KVM, and exits with its status.
#
# Boots Debian's kernel under QEMU's emulation of a CPU with SVM, with kvm-amd and this machine's
# own files; see README.md. HARDWARE_CPUS: how many (1: emulation of two is slower than of one).
# 124: over the time limit (HARDWARE_TIMEOUT seconds). 125: no machine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
kit=$project/build/hardware/kit
limit=${HARDWARE_TIMEOUT:-3000}

fail() {
    echo "test-hardware: $2" >&2
    exit "$1"
}

# The script that the machine runs: the command word for word, in the project's directory.
write_command() {
    printf 'export PATH=%q HOME=%q\n' "$PATH" "${HOME:-/root}"
    printf 'cd %q || exit\n' "$project"
    printf 'exec'
    printf ' %q' "$@"
    echo
}

# The first file system: busybox, the modules, and the three scripts.
write_ramdisk() {
    mkdir -p ram/bin
    cp "$kit/busybox" ram/bin/
    cp -r "$kit/modules" "$here/session" ram/
    grep -v '^#' "$here/modules" >ram/load
    write_command "$@" >ram/command
    install -m 755 "$here/init" ram/init
    (cd ram && find . | "$kit/cpio" -o -H newc --quiet) >ramdisk
}

machine=(
    -accel tcg,thread=multi,tb-size=512 -cpu max -smp "${HARDWARE_CPUS:-1}" -m 3072
    -nodefaults -display none -no-reboot
    -kernel "$kit/vmlinuz" -initrd ramdisk
    -append "console=ttyS0 quiet panic=-1 mitigations=off no5lvl nowatchdog"
    -serial file:console
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap
    -device virtio-serial
    -chardev stdio,id=output -device virtserialport,chardev=output,name=output
    -chardev file,id=status,path=status -device virtserialport,chardev=status,name=status
)

[ $# -gt 0 ] || fail 125 "usage: boot.sh COMMAND..."
"$here/prepare.sh" "$kit"
work=$(mktemp -d "$project/build/hardware/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
write_ramdisk "$@"

# An input that never ends: at its end QEMU would hang up the output port too.
mkfifo silence
ended=0
timeout --foreground -k 5 "$limit" qemu-system-x86_64 "${machine[@]}" 0<>silence || ended=$?
cp console ../console.log 2>/dev/null || true
[ $ended != 124 ] || fail 124 "stopped at the limit of $limit s (HARDWARE_TIMEOUT)"
[ -s status ] || fail 125 "the machine died before the command ended: see build/hardware/console.log"
exit "$(cat status)"
