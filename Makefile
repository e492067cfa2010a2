# Two commands do all the set-up: `make demo` runs the main job, `make test` runs every check.
# Both make .venv from pinned requirements on their first call; a stamp makes later calls instant.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
RUN_STAMP := $(VENV)/.stamp-run
DEV_STAMP := $(VENV)/.stamp-dev

# Commands outside the package are checked for calls and names that the package no longer has, not for every type.
NOT_CALLS := arg-type assignment call-overload index misc operator union-attr var-annotated
CALLS_ONLY := --config-file= --check-untyped-defs --ignore-missing-imports $(NOT_CALLS:%=--disable-error-code %)

.PHONY: demo test lint types layers tests format docs clean

demo: $(RUN_STAMP)
	$(BIN)/willis demo --output out/demo

test: lint types layers tests

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy
	$(BIN)/mypy $(CALLS_ONLY) benchmarks
	$(BIN)/mypy $(CALLS_ONLY) scripts

layers: $(DEV_STAMP)
	$(BIN)/lint-imports

tests: $(DEV_STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS)

format: $(DEV_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(RUN_STAMP)
	$(BIN)/willis info --markdown > docs/reference/tasks.md

clean:
	rm -rf $(VENV) out build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "willis needs Python 3.11 or newer; name one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements/torch.txt requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP) --constraint requirements/run.txt --requirement requirements/torch.txt
	$(PIP) --requirement requirements/torch.txt --requirement requirements/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@

$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	$(PIP) --requirement requirements/torch.txt --requirement requirements/run.txt --requirement requirements/dev.txt
	$(BIN)/python -m pip check
	touch $@
