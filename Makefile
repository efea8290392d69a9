# Everything runs in .venv, which the first target that needs it makes. PYTHON: which Python to use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?= difficulty
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help install study test test-slow test-cluster check format bench gpu site licences clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# A CPU wheel of torch at hand is found by its exact version, which the constraints name.
$(VENV)/installed: pyproject.toml constraints.txt
	@echo "installing lrray into $(VENV) (a few minutes, once)"
	@$(PYTHON) -c 'import sys; sys.exit("lrray needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --constraint constraints.txt --editable .
	@echo "compiling the sampler and the likelihood"
	@$(BIN)/python -c "import lrray.gssm; lrray.gssm.compile_kernels()"
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@$(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed-dev
	@$(PIP) --constraint constraints.txt --editable '.[docs]'
	@touch $@

install: $(VENV)/installed ## make the environment

study: $(VENV)/installed ## run a study (STUDY=difficulty)
	@$(BIN)/python -m lrray.study $(STUDY)

test: $(VENV)/installed-dev ## run the tests (under 10 minutes on 2 cores)
	@$(BIN)/python -m pytest -n 2

# Tests of faults and storages start clusters and count seconds: one at a time.
test-slow: $(VENV)/installed-dev ## run the long tests as well
	@$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --durations=15 --ignore tests/faults --ignore tests/storage
	@$(BIN)/python -m pytest -m slow --durations=15 tests/faults tests/storage

test-cluster: $(VENV)/installed-dev ## run a cluster of hosts in network namespaces (root; see docs/cluster.md)
	@$(BIN)/python -m pytest -m cluster -rs

check: $(VENV)/installed-dev ## lint, types, layers, versions of packages
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@told=$$($(BIN)/python -m pip check --disable-pip-version-check) || { echo "$$told"; exit 1; }

format: $(VENV)/installed-dev ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/installed-dev ## run all benchmarks and rewrite docs/benchmarks.md
	@$(BIN)/python -m benchmarks

# Nothing is installed here: the machine with the GPU may have no network. PYTHON: one with torch.
OUT ?= build/gpu
LIMIT ?= 480
gpu: ## measure a GPU in at most 8 minutes (OUT=build/gpu LIMIT=480; see docs/gpu.md)
	@$(PYTHON) -m benchmarks.gpu --out $(OUT) --limit $(LIMIT)

site: $(VENV)/installed-docs ## build the documentation into build/site and check its links
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs build/site
	@$(BIN)/python docs/check_site.py build/site
	@echo "open build/site/index.html"

licences: $(VENV)/installed-docs ## rewrite docs/licences.md
	@$(BIN)/python docs/licences.py

clean: ## remove the environment and caches, never results
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
