# The front door. `make` alone prints what there is; every target sets up what it needs by itself.
# JOBS=N      how many things at once (all cores)      ALL=1       lint everything, not only what changed
# PRESET=dev  what `make build` builds (release)       FUZZ_S=60   seconds a fuzz target runs

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test test-long build bench bench-policies sim fuzz format lint deps clean

JOBS   ?= $(shell nproc)
PRESET ?= release
FUZZ_S ?= 60
TOOLS  := tests/tools
INSTALL := deploy/debian/install-packages

help: ## this list
	@echo "Ebb: when production ebbs, RL flows. On Debian 12 or Ubuntu 24.04 each of these installs what it needs."
	@echo
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 20
	@echo
	@sed -nE '2,3s/^#/ /p' Makefile

demo: ## a compressed day on stand-in GPUs: RL replicas go the other way of the traffic (DEMO_DURATION=90s)
	@$(INSTALL) build demo
	@$(MAKE) --no-print-directory compile PRESET=release \
	  TARGETS="ebbd ebbctl ebb-shim ebb-pull ebb-engine ebb-load ebb-trainer"
	@python3 tests/demo/demo.py --build-dir build/release

test: deps ## everything but the long tests: sanitizers, both compilers, real Prometheus and Chromium
	@python3 $(TOOLS)/run_tests.py --jobs $(JOBS)

test-long: deps ## the tests labelled long: 100 kills of the daemon, long simulations; tens of minutes
	@python3 $(TOOLS)/run_tests.py --jobs $(JOBS) --long

build: ## the programs, optimised, into build/release/bin (PRESET=dev: quick to build, for debugging)
	@$(INSTALL) build $(if $(filter tsan clang,$(PRESET)),test)
	@$(MAKE) --no-print-directory compile

bench: ## measures what docs/benchmarks.md claims, on this machine
	@$(INSTALL)
	@$(MAKE) --no-print-directory compile PRESET=release
	@python3 $(TOOLS)/run_benchmarks.py --build-dir build/release

bench-policies: ## every policy on the traces in EBB_TRACES (QUICK=1, MINUTES=N: a part; ONTO=1: what lacks)
	@$(INSTALL) build demo
	@$(MAKE) --no-print-directory compile PRESET=release TARGETS=ebbd
	@python3 $(TOOLS)/bench_policies.py --build-dir build/release $(if $(QUICK),--quick) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(ONTO),--onto)

sim: deps ## SEEDS=N more simulated lives of the daemon under faults (DAYS each, from SEED on)
	@$(MAKE) --no-print-directory compile PRESET=release TARGETS=ebb-sim
	@build/release/bin/ebb-sim --seed $(or $(SEED),1) --seeds $(or $(SEEDS),100) --days $(or $(DAYS),10)

fuzz: deps ## libFuzzer over every parser that meets the outside, FUZZ_S seconds each
	@mkdir -p build; cmake --preset clang >build/clang.configure.log 2>&1 || { cat build/clang.configure.log; exit 1; }
	@cmake --build build/clang --parallel $(JOBS) --target fuzzers
	@python3 $(TOOLS)/run_fuzzers.py --build-dir build/clang --seconds $(FUZZ_S)

format: deps ## clang-format over the C++ that changed since the last commit (ALL=1: over everything)
	@python3 $(TOOLS)/lint.py --format $(if $(ALL),--all)

lint: deps ## clang-format, clang-tidy and the house rules over what changed (ALL=1: over everything)
	@python3 $(TOOLS)/lint.py --jobs $(JOBS) $(if $(ALL),--all)

deps: ## installs the packages of deploy/debian/packages.txt that are missing (sudo only when not root)
	@$(INSTALL)

clean: ## removes build/
	rm -rf build

# Not for people: configures (once) and builds one preset.
.PHONY: compile
compile:
	@mkdir -p build
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	@cmake --build build/$(PRESET) --parallel $(JOBS) $(if $(TARGETS),--target $(TARGETS))
