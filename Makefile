# Two commands for a newcomer: `make demo` and `make test`. Each does its own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo up browser pictures test test-slow test-quiet test-all check chaos bench lock clean

help:
	@echo "make demo   run the nightly flow on sample jobs against the local simulator (no key needed)"
	@echo "make up     start the Prefect server, the deployments, a worker and the review page; SIMULATE=1 needs no key"
	@echo "make test   run the tests, without those that are marked slow"
	@echo "make check  lint, types, the import direction, and the size and names of the code"
	@echo "make test-slow  run those that are marked slow"
	@echo "make test-all   run every test, with more examples of everything that is generated"
	@echo "make chaos  kill and disturb the real command at random and ask the simulator what was paid"
	@echo "make bench  measure speed and memory next to a hand-written script, and print the targets"
	@echo "make pictures  take the pictures of the docs again, from the real thing"
	@echo "make setup  create $(VENV) with everything pinned in requirements.txt"
	@echo "make lock   resolve pyproject.toml again into requirements.txt"

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m services.prefect_home
	@touch $@

# A fresh ledger each time, and a Prefect home of its own. Three of the sample rows are broken on purpose, so the run
# ends with exit code 4 (ended with rejected jobs), which is what the demo is to show.
DEMO := data/demo
demo: setup
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	env -u PREFECT_API_URL PREFECT_HOME=$(CURDIR)/$(DEMO)/prefect $(BIN)/weighbridge run data/samples/jobs.parquet --simulate \
	  --ledger sqlite:///$(CURDIR)/$(DEMO)/ledger.db --results $(DEMO)/results || [ $$? -eq 4 ]
	@echo "Who waits for a person: $(BIN)/weighbridge review list --ledger sqlite:///$(DEMO)/ledger.db"

# Until Ctrl-C. What it keeps between starts is in data/up, or data/up-simulated.
SIMULATE ?=
up: setup
	$(BIN)/weighbridge up $(if $(SIMULATE),--simulate)

# Installs a browser where it may; a no-op where there is one.
browser:
	@bash tests/install_browser.sh

# Two workers: each starts a Prefect server of its own.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup

test: setup browser
	$(PYTEST) -m "not slow"

test-slow: setup browser
	$(PYTEST) -m slow

# What needs a machine without other work: the share of a rate that is used.
test-quiet: setup
	WEIGHBRIDGE_QUIET=1 $(BIN)/python -m pytest tests/test_services/test_account_allowances.py

test-all: setup browser
	$(PYTEST) --hypothesis-profile=thorough

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_ratchet.py

# Disturbs the real command in every way of bench/chaos/scenarios.py; ONLY=killed plays one of them.
KILLS ?= 300
SEED ?= 1
ONLY ?=
chaos: setup
	$(BIN)/python -m bench.chaos --kills $(KILLS) --seed $(SEED) $(if $(ONLY),--only $(ONLY))

# About an hour; MEMORY=10000,100000,1000000 takes two hours more. ROWS, ROUNDS, MEMORY and OPTIONS make it shorter.
ROWS ?= 5000
ROUNDS ?= 3
MEMORY ?= 10000,100000
OPTIONS ?=
bench: setup
	$(BIN)/python -m bench.speed --rows $(ROWS) --rounds $(ROUNDS) --memory $(MEMORY) $(OPTIONS)

# Starts `weighbridge up --simulate` in a passing folder, runs the sample jobs, and photographs what a browser shows.
pictures: setup browser
	$(BIN)/python -m bench.take_pictures

lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --extra dev \
	  --output-file requirements.txt pyproject.toml requirements-build.in
	@rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
