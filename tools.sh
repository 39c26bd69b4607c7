#!/usr/bin/env bash
# tools.sh: makes sure that the compilers and tools are here which pip does not bring.
# As root on Debian or Ubuntu it installs what is missing; else it says what to install.
set -eu

declare -A packages=(
    [gcc]=gcc [g++]=g++ [make]=make [clang]=clang [musl-gcc]=musl-tools [wrk]=wrk [curl]=curl
    [spin]=spin [busybox]=busybox-static
)
missing=()
for tool in "${!packages[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${packages[$tool]}")
done
python3 -c 'import ensurepip, sysconfig, os, sys
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null ||
    missing+=(python3-venv python3-dev)
[ -e /usr/include/pcre2.h ] || missing+=(libpcre2-dev)
compgen -G "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a" >/dev/null ||
    missing+=(libclang-rt-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "please install: ${missing[*]} (Debian: sudo apt-get install ${missing[*]})" >&2
    exit 1
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
