#!/usr/bin/env bash
# run.sh: the core's tests on hardware-style KVM (boot.sh), on one machine for each CPU.
#
# An emulated machine is some fifty times slower and compiles nothing: what it runs are
# the guests that the same tests have left in build/guests on this machine's KVM. They are
# run here first if that has not been done since something changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=.venv/bin/python
mark=build/guests/complete
if [ ! -e "$mark" ] || [ -n "$(find tests/core tests/support guest/include -newer "$mark" -name '*.[pch]*' -print -quit)" ]; then
    $python -m pytest -q -m core tests/core
    touch "$mark"
fi

# The test files, dealt out by size, the largest first; each machine's lines bear its number.
mapfile -t files < <(ls -S $(grep -l 'mark\.core' tests/core/test_*.py))
machines=$(nproc)
pids=()
for ((machine = 0; machine < machines && machine < ${#files[@]}; machine++)); do
    share=()
    for ((at = machine; at < ${#files[@]}; at += machines)); do
        share+=("${files[at]}")
    done
    (
        tests/hardware/boot.sh $python -m pytest -q -m core -p no:cacheprovider "${share[@]}" |
            sed -u "s/^/$((machine + 1)): /"
    ) &
    pids+=($!)
done
ended=0
for pid in "${pids[@]}"; do
    wait "$pid" || ended=$?
done
exit "$ended"
