#!/usr/bin/env bash
# asan.sh [PYTEST ARGUMENTS]: the core's Python tests with the extension under ASan and UBSan.
#
# build/asan/skerry is the package with a sanitized extension; PYTHONPATH puts it before the
# installed one. Leaks are not looked for: Python itself ends with memory in use.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/build/asan
export CC=gcc
export CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1"
export LDFLAGS=$CFLAGS
.venv/bin/python setup.py -q build_ext --build-lib "$out/lib" --build-temp "$out/objects"
rm -rf "$out/skerry"
cp -r host/skerry "$out/skerry"
cp "$out"/lib/skerry/*.so "$out/skerry/"

export PYTHONPATH=$out
export ASAN_OPTIONS=detect_leaks=0
export UBSAN_OPTIONS=print_stacktrace=1
export PYTHONMALLOC=malloc # so that ASan knows the ends of what Python hands to C
LD_PRELOAD=$(gcc -print-file-name=libasan.so)
export LD_PRELOAD
[ $# -gt 0 ] || set -- tests/core
exec .venv/bin/python -m pytest -q -p no:cacheprovider "$@"
