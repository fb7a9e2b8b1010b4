# `make demo` and `make test` set themselves up: Python 3.11 or newer with venv is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test check lint types layers docs bench planted rot kills errors race stateful soak peers clean

demo: $(VENV)/installed
	$(BIN)/lin demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal

# everything that .ci/run looks at besides the tests
check: lint types layers docs

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

layers: $(VENV)/installed-dev
	$(BIN)/lint-imports

# the generated pages are what the code says; `make docs WRITE=--write` writes them
docs: $(VENV)/installed-dev
	$(BIN)/python docs/generate.py $(WRITE)

bench: export PYTHONDONTWRITEBYTECODE =
bench: $(VENV)/installed-dev
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/runs.py
	$(BIN)/python bench/metrics.py
	$(BIN)/python bench/capture.py
	$(BIN)/python bench/sweeps.py
	$(BIN)/python bench/queries.py
	$(BIN)/python bench/crowd.py
	$(BIN)/python bench/tables.py
	$(BIN)/python bench/predict.py
	$(BIN)/python bench/lineage.py
	$(BIN)/python bench/proof.py

# 40 pairs of runs that differ in known ways: does the attribution name what was planted?
planted: export PYTHONDONTWRITEBYTECODE =
planted: $(VENV)/installed-dev
	$(BIN)/python bench/planted.py

# every byte of a small store, one at a time: does `lin fsck --read-data` find each change?
rot: $(VENV)/installed-dev
	$(BIN)/python bench/rot.py

# each mutating command killed at each of its system calls, at failpoints and by signals: is anything lost?
kills: $(VENV)/installed-dev
	$(BIN)/python bench/kills.py --by strace,failpoints,signals $(KILLS)

# system calls of commands that fail, at each place where they make them in the project: is it told, and nothing lost?
errors: $(VENV)/installed-dev
	$(BIN)/python bench/errors.py $(ERRORS)

# 32 processes that register 500 versions of a model each
race: $(VENV)/installed-dev
	$(BIN)/python bench/race.py

# 200 walks of 50 changes, kills, stale handles and shifted clocks: is a store what a dict is?
stateful: $(VENV)/installed-dev
	STATEFUL=200,50 $(BIN)/python -m pytest tests/test_stateful.py

# eight writers, one of them killed every two seconds, with fsck, gc and readers beside them, for 30 minutes
MINUTES ?= 30
soak: $(VENV)/installed-dev
	$(BIN)/python bench/soak.py --minutes $(MINUTES)

# beside MLflow, which is installed into an environment of its own
peers: $(VENV)/installed-dev
	$(BIN)/python bench/peers.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("lin needs Python 3.11 or newer; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) lin-demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
