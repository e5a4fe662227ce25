# make demo    set up, index the sample documents, answer three queries
# make devset  build the development benchmark in data/dev
# make vira    build the training set in data/vira (hours); RECIPE=small for a small one
# make test    install what the tests need, run every check
PYTHON ?= python3
RECIPE ?= full
WORKERS ?= 1
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo devset vira test lint types contracts check slow

demo: .venv/installed
	sh samples/demo.sh

test: .venv/installed-dev
	$(MAKE) --no-print-directory lint types contracts check slow

devset: .venv/installed-dev
	$(BIN)/visir vira devset -o data/dev

vira: devset
	$(BIN)/visir vira build $(RECIPE) -o data/vira --workers $(WORKERS)

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

contracts:
	$(BIN)/lint-imports

check:
	$(BIN)/pytest -m "not slow" -n 2 --dist loadgroup

slow:
	$(BIN)/pytest -m slow

.venv/bin/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/installed: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[web]'
	touch $@

.venv/installed-dev: .venv/installed scripts/system-packages
	sh scripts/system-packages
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
