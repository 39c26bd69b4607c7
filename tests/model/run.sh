#!/usr/bin/env bash
# run.sh: lets spin look for a mistake in storage_lock.pml.
#   run.sh WORKERS CALLS DEATHS [NAME...]   defines each NAME, such as BREAK_COMMIT
# Ends with 0 when there is none, 1 with spin's words when there is, 2 when it cannot tell.
set -eu

for tool in spin gcc; do
    if ! command -v "$tool" >/dev/null; then
        echo "run.sh: $tool is missing: ./tools.sh installs it" >&2
        exit 2
    fi
done
model=$(cd "$(dirname "$0")" && pwd)/storage_lock.pml
defines=(-DWORKERS="$1" -DCALLS="$2" -DDEATHS="$3")
for name in "${@:4}"; do
    defines+=(-D"$name")
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
spin "${defines[@]}" -a "$model" >&2 && gcc -O1 -DSAFETY -DMEMLIM=4000 pan.c -o pan || exit 2
./pan -m1000000 -w22 -n >said || exit 2
if grep -q 'errors: 0' said && ! grep -qE 'max search depth|out of memory|not completed' said; then
    grep 'states, stored' said
elif grep -E '^pan:1: (assertion|invalid end)' said; then
    exit 1
else
    cat said >&2
    exit 2
fi
