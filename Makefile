# `make lab` shows the main job, `make test` proves it. Both set up what they need in .venv and in the user's cache.
PYTHON ?= python3
HOSTS ?= 1
SUITE ?= bookworm
ENGINES ?=
VENV := .venv
# Tools find each other by PATH; a version manager's shims before it would hide the virtual environment's own.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help lab lab-down lab-shell lint types unit test faults causes clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/installed: pyproject.toml
	@echo "Setting up $(VENV) (about a minute the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the module venv is missing: apt-get install python3-venv"; exit 1; }
	@$(VENV)/bin/pip install -qq --disable-pip-version-check 'pip>=25.1'
	@$(VENV)/bin/pip install -qq --disable-pip-version-check --editable . --group dev
	@touch $@

lab: $(VENV)/installed ## Boot a bare host and make it serve, with real engines (HOSTS=2, SUITE=trixie, ENGINES=all)
	@llmops lab up --hosts $(HOSTS) --suite $(SUITE) --engines "$(ENGINES)"
	@if [ -n "$(ENGINES)" ]; then echo "Asking each server with the openai client, requests and curl"; pytest -q tests/clients; fi

lab-down: $(VENV)/installed ## Remove everything that `make lab` made
	@llmops lab down

lab-shell: $(VENV)/installed ## Open a shell on the lab's first host
	@llmops lab shell

lint: $(VENV)/installed ## Check style: ruff, yamllint, ansible-lint
	ruff check .
	ruff format --check .
	yamllint .
	ansible-lint

types: $(VENV)/installed ## Check types: mypy, strict
	mypy llmops_serving plugins tools

unit: $(VENV)/installed ## Run the unit tests
	pytest tests/unit

test: lint types ## Run all tests: lint, types, unit, sanity, build, the engines' own parsers, the model store's faults, a core of the hosts' faults, and every scenario on real hosts
	pytest tests/unit
	pytest --capture=no tests/integration
	pytest tests/store
	pytest tests/conformance
	pytest -m core tests/faults/test_table.py tests/faults/test_faults.py tests/faults/test_interruptions.py

faults: $(VENV)/installed ## Let twenty faults happen to a host, and interrupt a change of its server at each step (docs/faults.md)
	pytest tests/faults/test_table.py tests/faults/test_faults.py tests/faults/test_interruptions.py

causes: $(VENV)/installed ## Cause what the doctor and the watchdog know on each engine, and look for planted keys (docs/doctor.md)
	pytest tests/faults/test_doctor.py tests/faults/test_watchdog.py tests/faults/test_engines.py tests/faults/test_secrets.py

clean: ## Remove the virtual environment and what tools left behind
	rm -rf $(VENV) .ansible .mypy_cache .pytest_cache .ruff_cache dist
