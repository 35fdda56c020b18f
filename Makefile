# The few words an operator types. LIMIT picks the hosts, ARGS is handed on: make converge LIMIT=CoulombCore ARGS="-v"
LIMIT ?= CoulombCore
ARGS ?=
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
CONVERGE := build/release/converge

.PHONY: help build dependencies converge verify plan demo test bench format lint clean install

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

dependencies: ## install what building and testing need (Debian)
	@tests/support/install-dependencies build

build: dependencies ## build the static binary, build/release/converge
	@cmake --preset release -DCONVERGE_TESTS=OFF --log-level=WARNING >/dev/null
	@cmake --build --preset release --parallel $(JOBS) --target converge
	@ln -sfn converge build/release/verify

$(CONVERGE):
	@$(MAKE) --no-print-directory build

plan: $(CONVERGE) ## show what would change on LIMIT; writes nothing
	$(CONVERGE) plan -l $(LIMIT) $(ARGS)

converge: $(CONVERGE) ## make LIMIT as specs/ says, and prove it
	$(CONVERGE) -l $(LIMIT) $(ARGS)

verify: $(CONVERGE) ## assert that LIMIT is as specs/ says, in effect; writes nothing
	build/release/verify -l $(LIMIT) $(ARGS)

demo: build ## converge, break and heal a throw-away node (as root; a directory tree otherwise)
	@tests/node/demo

test: ## every test: unit, laws, command line, and real nodes where they can run
	@tests/support/test

bench: build ## time converge against Ansible and CFEngine on the same node; writes build/bench.md
	@tests/bench/bench

format: ## format the C++ sources in place
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

lint: ## check formatting, and clang-tidy on the sources
	@tests/support/lint

clean: ## remove build/
	rm -rf build

install: build ## install converge and verify below PREFIX
	install -D -m 755 $(CONVERGE) $(DESTDIR)$(PREFIX)/bin/converge
	ln -sfn converge $(DESTDIR)$(PREFIX)/bin/verify
