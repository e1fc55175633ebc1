# Holdfast. Every target works from a fresh clone, says what it does, and is fast the second time.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq install
COMPILE := $(BIN)/pip-compile --quiet --all-build-deps

# Stamps: what is installed in .venv is what the lock files said when these were touched.
SERVER := $(VENV)/.installed-server
DEV := $(VENV)/.installed-dev

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(SERVER) ## create .venv with the server in it, as .venv/bin/holdfast
	@echo "setup: $(BIN)/holdfast is ready"

.PHONY: run
run: $(SERVER) ## set up, then play the failures and show the session surviving (holdfast demo)
	@echo "run: playing the failures (holdfast demo)"
	@$(BIN)/holdfast demo

.PHONY: test
test: $(DEV) ## set up, then run the tests (ARGS="..." goes to pytest)
	@echo "test: running the tests"
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: $(DEV) ## set up, then check style, formatting, types and the direction of imports
	@echo "lint: style (ruff check)"
	@$(BIN)/ruff check .
	@echo "lint: formatting (ruff format)"
	@$(BIN)/ruff format --check .
	@echo "lint: types (mypy)"
	@$(BIN)/mypy
	@echo "lint: direction of imports (import-linter)"
	@$(BIN)/lint-imports

.PHONY: format
format: $(DEV) ## set up, then mend style and formatting where that is safe
	@echo "format: mending style and formatting (ruff)"
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: bench
bench: $(DEV) ## set up, then measure the goals of speed as ratios (ONLY="name ..." for some)
	@echo "bench: measuring; keep the machine quiet"
	@$(BIN)/python tests/benchmarks $(ONLY)

.PHONY: crashes
crashes: $(DEV) ## set up, then kill servers under load and compare (POINTS=1000 SEED=1 WORKERS=2)
	@echo "crashes: killing servers with kill -9"
	@$(BIN)/python tests/e2e/crash_campaign.py --points $(or $(POINTS),1000) \
		--workers $(or $(WORKERS),2) --seed $(or $(SEED),1)

.PHONY: survival
survival: $(DEV) ## set up, then write docs/survival.md from what the tests play
	@echo "survival: writing docs/survival.md"
	@$(BIN)/python tests/e2e/survival.py > docs/survival.md.new
	@mv docs/survival.md.new docs/survival.md

.PHONY: simulate
simulate: $(DEV) ## set up, then crash the core at random, deterministically (SEEDS=n SECONDS=s SEED=n STEPS=n)
	@echo "simulate: sessions in a hostile world; a failure prints its seed"
	@PYTHONPATH=tests $(BIN)/python -m simulation $(if $(SEED),--seed $(SEED)) \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(STEPS),--steps $(STEPS))

.PHONY: lock
lock: $(DEV) ## pin the dependencies anew from pyproject.toml (UPGRADE=1 for the newest ones)
	@echo "lock: pinning what the server needs (requirements/lock.txt)"
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/lock.txt pyproject.toml
	@echo "lock: pinning what developing it needs (requirements/dev.txt)"
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --extra dev --constraint requirements/lock.txt \
		--output-file requirements/dev.txt pyproject.toml

.PHONY: clean
clean: ## remove .venv and all caches
	@echo "clean: removing .venv and caches"
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find server tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A link to a Python that is gone counts as missing, so --clear starts anew.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "setup: Python 3.11 or newer is needed; try: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "setup: creating $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) \
		|| { echo "setup: the venv module is missing; try: apt-get install python3-venv" >&2; exit 1; }

$(SERVER): pyproject.toml requirements/lock.txt | $(BIN)/python
	@echo "setup: installing the pinned dependencies and the server (a minute the first time)"
	@$(PIP_INSTALL) --require-hashes --requirement requirements/lock.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.txt | $(SERVER)
	@echo "setup: installing the pinned tools for tests and lint"
	@$(PIP_INSTALL) --require-hashes --requirement requirements/dev.txt
	@touch $@
