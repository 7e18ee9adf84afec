# `make demo` and `make test` are all a newcomer needs. `make help` lists the rest.

SWIFT ?= swift
export SWIFT
# Arguments for the program a target runs: make bench ARGS="roundtrip --pin same"
ARGS ?=
# How long `make stress` runs.
MINUTES ?= 1
# How long `make soak` and `make fuzz` run.
SECONDS ?= 60
# Flags for every build of the root package. FAULTLINE_STRICT=1 in the environment turns warnings into errors, in all packages.
BUILD_FLAGS ?=

# Tests park threads: all of them at once on a few cores take longer than a few at a time. Toolchains that cannot do that pass over it.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH ?= 8
FEW := SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=3

# Only the tests, without the snippets.
TESTS := --disable-xctest --test-product faultlinePackageTests

# The tests of the other packages are built where those of this one are, which they are made of.
SHARED := --scratch-path .build

BENCH_FLAGS := -c release --package-path Benchmarks
SWIFT_FILES = $(shell find $(wildcard Sources Tests Benchmarks Snippets Examples Fuzz Package.swift) \
	-name '*.swift' -not -path '*/.build*')

.DEFAULT_GOAL := help
.PHONY: help demo test build bench bench-build bench-test example-test instructions stress soak fuzz lint format check docs sanitize sanitize-thread \
	sanitize-address sanitize-address-build release-test dependencies clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: bench-build ## Install what is missing, build, and run the benchmark's short tour
	@"$$($(SWIFT) build $(BENCH_FLAGS) --show-bin-path)/faultline-bench" $(ARGS)

test: dependencies ## Install what is missing, build, and run every test
	$(SWIFT) test --disable-xctest $(BUILD_FLAGS) $(ARGS)

build: dependencies ## Build the libraries, the tests and the snippets
	$(SWIFT) build --build-tests $(BUILD_FLAGS)

bench: bench-build ## Run the benchmark: make bench ARGS="roundtrip --pin same --runs 5"
	@"$$($(SWIFT) build $(BENCH_FLAGS) --show-bin-path)/faultline-bench" $(ARGS)

bench-build: dependencies ## Build the benchmark, optimised
	$(SWIFT) build $(BENCH_FLAGS)

instructions: dependencies ## Count the instructions of a fault outside of the kernel (needs valgrind)
	scripts/instructions.sh

bench-test: dependencies ## Run the benchmark's own tests
	$(SWIFT) test --package-path Benchmarks $(SHARED) --disable-xctest $(ARGS)

example-test: dependencies ## Build the examples and run each end to end
	$(SWIFT) test --package-path Examples $(SHARED) --disable-xctest $(ARGS)

stress: bench-build ## Count in pages that come, go and are protected: make stress MINUTES=10 ARGS="--backing shared"
	@"$$($(SWIFT) build $(BENCH_FLAGS) --show-bin-path)/faultline-stress" --minutes $(MINUTES) $(ARGS)

soak: dependencies ## Fault over sockets while the page server crashes again and again: make soak SECONDS=600
	FAULTLINE_SOAK_SECONDS=$(SECONDS) $(SWIFT) test --disable-xctest $(BUILD_FLAGS) --filter SoakTests $(ARGS)

fuzz: ## Feed decoders with made-up bytes, all at once: make fuzz SECONDS=600
	scripts/fuzz.sh $(SECONDS)

# With all package traits: what they bring is built and tested here; and as users get it, without what @testable needs.
release-test: dependencies ## Run every test in an optimised build, with the adapters that are off by default
	$(SWIFT) test -c release --disable-testable-imports --traits Logging,Metrics,ServiceLifecycle $(TESTS) $(BUILD_FLAGS) $(ARGS)

sanitize: sanitize-thread sanitize-address ## Run every test under the thread and the address sanitizer

# What the kernel answers, case by case in a process of its own, has no threads of ours.
sanitize-thread: dependencies ## Run the tests that have threads under the thread sanitizer
	$(FEW) $(SWIFT) test --sanitize=thread $(TESTS) --skip ConformanceTests -Xswiftc -DSANITIZED --scratch-path .build-tsan $(BUILD_FLAGS) $(ARGS)

ADDRESS := --sanitize=address -Xswiftc -DSANITIZED --scratch-path .build-asan

sanitize-address-build: dependencies
	$(SWIFT) build --build-tests $(ADDRESS) $(BUILD_FLAGS)

# With the leak check: what nothing refers to any more when the test process ends, or one that an exit test starts, such as objects
# that keep each other alive, fails it. scripts/leaks.supp has what it cannot see. The check stops its own process (ptrace(2));
# where that is forbidden, ASAN_OPTIONS=detect_leaks=0 does without it.
ASAN_OPTIONS ?= detect_leaks=1
LSAN_OPTIONS = suppressions=$(CURDIR)/scripts/leaks.supp:print_suppressions=0

sanitize-address: dependencies ## Run every test under the address sanitizer, and look for leaks
	ASAN_OPTIONS="$(ASAN_OPTIONS)" LSAN_OPTIONS="$(LSAN_OPTIONS)" $(FEW) $(SWIFT) test $(ADDRESS) $(TESTS) $(BUILD_FLAGS) $(ARGS)

lint: ## Check the format of every Swift file
	$(SWIFT) format lint --strict $(SWIFT_FILES)

format: ## Format every Swift file in place
	$(SWIFT) format --in-place $(SWIFT_FILES)

check: ## Check the rules that no compiler checks: where unsafe code may stand, file lengths, …
	scripts/check.sh

docs: dependencies ## Build the documentation of the six libraries into docs/site
	scripts/docs.sh

dependencies: ## Install libevent-dev where it is missing and may be installed
	@scripts/install-dependencies.sh

clean: ## Remove everything that was built
	rm -rf .build .build-* Benchmarks/.build Examples/.build docs/site
