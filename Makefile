# Every target works from a fresh clone: it makes the environment, installs what
# the lock names, then does its work. PYTHON picks the interpreter.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --progress-bar off

# Work is spread over processes, one a core; threads inside each would only wait for each other.
export OMP_NUM_THREADS := 1

RUN    := $(VENV)/.installed-run
DEV    := $(VENV)/.installed-dev

.PHONY: help demo test lint bench docs lock clean

help:  ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(RUN)  ## the main job on real patient data, from first check to encrypted prediction
	$(BIN)/holdfast demo

test: $(DEV)  ## the test suite, with coverage
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered

lint: $(DEV)  ## ruff, strict mypy, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV)  ## every bench, figures as JSON lines
	@for bench in kernels dp_logistic dp_training dp_utility dp_images privacy_accounting privacy_audit one_run_audit \
	    inversion data_checks poison_certificates data_protection attacks hardening detection ownership service private_inference; do $(BIN)/python benches/$$bench.py || exit 1; done

docs: $(DEV)  ## run every command and example in the documents
	$(BIN)/python -m pytest -n 0 -q tests/docs

lock:  ## resolve the lock anew from pyproject.toml and requirements/*.in
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet pip-tools
	$(VENV)-lock/bin/pip-compile --quiet --upgrade --strip-extras --generate-hashes --allow-unsafe --no-header \
	    --no-emit-index-url --no-emit-find-links -o requirements/run.txt pyproject.toml requirements/run.in
	$(VENV)-lock/bin/pip-compile --quiet --upgrade --strip-extras --generate-hashes --allow-unsafe --no-header \
	    --no-emit-index-url --no-emit-find-links -o requirements/dev.txt requirements/dev.in
	sed -i 's/^torch==\([0-9.]*\)+cpu/torch==\1/' requirements/dev.txt
	rm -rf $(VENV)-lock

clean:  ## remove the environment and caches
	rm -rf build $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage

NATIVE := CMakeLists.txt $(wildcard native/*.cpp native/*.hpp)

$(RUN): requirements/run.txt pyproject.toml $(NATIVE)
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found; install Python 3.11 or say PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up $(VENV) (once, one to three minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/run.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
