# Everything a person does with skerry. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
NATIVE := $(wildcard native/src/*.c native/src/*.h native/include/*.h) guest/include/kvm_api.h
LISTEN ?= 127.0.0.1:8080
PACKAGES = nim golang-go lua5.4 liblua5.4-dev sqlite3 libsqlite3-dev jq gawk mawk bc bzip2 \
	xz-utils zstd git perl python3 nodejs default-jdk-headless musl-tools
SECONDS = 60
SEED = 1

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(VENV)/built ## make .venv/bin/skerry

serve: build examples ## build the examples and serve them (LISTEN=127.0.0.1:8080)
	exec $(VENV)/bin/skerry serve guest/examples/examples.json --listen $(LISTEN)

examples: $(VENV)/tools ## build the example programs
	$(MAKE) --no-print-directory -C guest/examples

test: check test-native test-host test-hardware ## everything that must pass

test-host: $(VENV)/dev examples ## the Python tests, real guests on this machine's KVM
	$(PYTHON) -m pytest -q
	@touch build/guests/complete

test-native: $(VENV)/tools ## the C tests, under ASan and UBSan
	$(MAKE) --no-print-directory -C native test

test-hardware: $(VENV)/dev examples ## the core's tests on hardware-style KVM, under QEMU
	tests/hardware/run.sh

check: $(VENV)/dev ## formatting, lint, types, strict C warnings, layers
	$(VENV)/bin/ruff format --check host bench tests native
	$(VENV)/bin/ruff check host bench tests native
	$(VENV)/bin/mypy
	$(VENV)/bin/clang-format --dry-run --Werror native/*/*.[ch] native/tests/stepped/*.[ch] guest/include/*.h
	$(MAKE) --no-print-directory -C native strict
	$(PYTHON) -m pytest -q tests/test_layers.py

languages: $(VENV)/dev ## get Zig, Nim, Go and programs of a distribution, for their tests
	$(PYTHON) -m pip install -q --no-build-isolation -e '.[languages]'
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then apt-get install -y -q $(PACKAGES); \
	else echo "as root on Debian: apt-get install $(PACKAGES)"; fi
	@command -v cargo >/dev/null || echo "Rust: https://rustup.rs, or your distribution's cargo (1.82 or newer)"

fuzz: $(VENV)/tools ## fuzz the ELF loader and the host calls (SECONDS_EACH=600)
	$(MAKE) --no-print-directory -C native fuzz

asan: $(VENV)/dev examples ## the core's Python tests with the extension under ASan and UBSan
	tests/asan.sh

crash: $(VENV)/dev ## kill what serves, and see that nothing is lost (SECONDS=60)
	$(PYTHON) -m tests.crash --seconds $(SECONDS) --seed $(SEED)

soak: $(VENV)/dev examples ## load programs that use everything, see that nothing is left (SECONDS=60)
	$(PYTHON) -m tests.soak --seconds $(SECONDS) --seed $(SEED)

clock: $(VENV)/dev ## see that the clock of programs is this machine's (SECONDS=60)
	$(PYTHON) -m tests.clock --seconds $(SECONDS)

bench: $(VENV)/dev examples ## measure, print a table, write bench/results/latest.json
	$(PYTHON) bench/micro.py
	$(PYTHON) bench/commits.py
	$(PYTHON) bench/http.py
	$(PYTHON) bench/streaming.py
	$(PYTHON) bench/workers.py
	$(PYTHON) bench/beside.py
	$(PYTHON) bench/restart.py
	$(PYTHON) bench/cold.py
	$(PYTHON) bench/counters.py
	$(PYTHON) bench/languages.py
	$(PYTHON) bench/beyond.py

fmt: $(VENV)/dev ## format everything
	$(VENV)/bin/ruff format host bench tests native
	$(VENV)/bin/clang-format -i native/*/*.[ch] native/tests/stepped/*.[ch] guest/include/*.h

stats: ## the longest files
	@git ls-files '*.py' '*.[ch]' | xargs wc -l | sort -rn | sed -n '2,12p'

clean: ## remove what was built
	rm -rf $(VENV) build guest/examples/build host/skerry/*.so host/*.egg-info
	rm -rf guest/rust/target guest/zig/build guest/nim/build guest/go/build

$(VENV)/tools: tools.sh
	./tools.sh
	@mkdir -p $(VENV) && touch $@

$(VENV)/python: $(VENV)/tools
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --upgrade pip "setuptools>=75" "cffi>=1.17"
	@touch $@

$(VENV)/built: $(VENV)/python pyproject.toml setup.py native/cffi_build.py $(NATIVE)
	$(PYTHON) -m pip install -q --no-build-isolation -e '.[trace]'
	$(PYTHON) -m compileall -q host/skerry
	@touch $@

$(VENV)/dev: $(VENV)/built
	$(PYTHON) -m pip install -q --no-build-isolation -e '.[dev]'
	@touch $@

.PHONY: help build serve examples test test-host test-native test-hardware check fuzz
.PHONY: asan clock languages crash soak bench fmt stats clean
