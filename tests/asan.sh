#!/usr/bin/env bash
# asan.sh [PYTEST ARGUMENTS]: the core's Python tests with the extension under ASan and UBSan.
#
# The package with a sanitized extension is made in build/asan, which PYTHONPATH puts before the
# installed one. Leaks are not looked for: Python itself ends with memory in use.
set -euo pipefail
cd "$(dirname "$0")/.."

out=build/asan
flags="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g"
mkdir -p "$out/skerry"
find "$out/skerry" -mindepth 1 -maxdepth 1 ! -name '*.so' -exec rm -r {} +
cp -r host/skerry/. "$out/package" && rm -f "$out"/package/*.so
cp -r "$out/package/." "$out/skerry" && rm -r "$out/package"
CC=gcc CFLAGS="$flags" LDFLAGS="$flags" .venv/bin/python setup.py -q build_ext \
    --build-lib "$out" --build-temp "$out/objects"

export PYTHONPATH="$PWD/$out"
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=0
export UBSAN_OPTIONS=print_stacktrace=1
export PYTHONMALLOC=malloc # so that ASan sees what is handed to C
LD_PRELOAD=$(gcc -print-file-name=libasan.so)
export LD_PRELOAD
exec .venv/bin/python -m pytest -q -p no:cacheprovider "${@:-tests/core}"
