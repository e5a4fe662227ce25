# make demo    set up, index the sample documents, answer three queries, open the page
# make devset  build the development benchmark in data/dev
# make vira    build the training set in data/vira (hours); RECIPE=small for a small one
# make test    install what the tests need, run every check
# make unise-mini   train the default model anew, from nothing: its reader, its text encoder, what pages look like (some five hours; see docs/training.md);
#                   TRIAL=--smoke makes only a few steps of each, in a copy of this folder: what ships is written over
PYTHON ?= python3
RECIPE ?= full
WORKERS ?= 1
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo devset vira test lint types contracts check slow unise-mini

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
	$(BIN)/pip install --quiet -c constraints.txt -e '.[web,serve,mcp]'
	touch $@

.venv/installed-dev: .venv/installed scripts/system-packages
	sh scripts/system-packages
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

unise-mini: devset
	test -f data/practice.zip || $(BIN)/python -m visir.vira.practice.build_pack -o data/practice.zip
	$(BIN)/visir train unise-mini-cpu -o runs/unise-mini $(TRIAL)
	$(BIN)/python -m visir.train.export_mini runs/unise-mini src/visir/unise/weights/unise-mini
	$(BIN)/visir vira build small -o data/vira-small --workers $(WORKERS)
	$(BIN)/visir train unise-mini-pairs -o runs/unise-mini-pairs $(TRIAL)
	$(BIN)/python -m visir.train.export_encoder runs/unise-mini-pairs src/visir/unise/weights/unise-mini
	$(BIN)/python -m visir.train.gist data/vira-small src/visir/unise/weights/unise-mini --leave-out news $(if $(TRIAL),--most 40)
