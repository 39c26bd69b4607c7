#!/usr/bin/env bash
# run.sh: the core's tests on hardware-style KVM (boot.sh).
#
# The emulated machine is some fifty times slower and compiles nothing: what it runs are
# the guests that the same tests have left in build/guests on this machine's KVM. They are
# run here first if that has not been done since something changed.
set -eu
cd "$(dirname "$0")/../.."
python=.venv/bin/python
mark=build/guests/complete
if [ ! -e "$mark" ] || [ -n "$(find tests/core tests/support guest/include -newer "$mark" -name '*.[pch]*' -print -quit)" ]; then
    $python -m pytest -q -m core tests/core
    touch "$mark"
fi
exec tests/hardware/boot.sh $python -m pytest -q -m core -p no:cacheprovider tests/core
