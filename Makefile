# make demo    install, train about a minute on the text that every Python carries, print a sample
# make test    install, run the tests
# make soak    kill, fill, flip and starve it for an hour, and print a table; MINUTES=5 for a taste
# make check   format, lint, types and the fast tests: before every commit
# make notebooks   the lessons as notebooks for Jupyter, beside their sources
#
# PIP_ARGS is passed to pip, e.g. PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" for PyTorch's CPU build.

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
WORKERS ?= 2
MINUTES ?= 60
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet $(PIP_ARGS) --constraint constraints.txt

.PHONY: demo test test-slow soak check lint format notebooks clean

demo: $(VENV)/.core
	rm -rf runs/demo
	$(BIN)/inkwright train pydocs --run runs/demo --minutes 1
	$(BIN)/inkwright sample runs/demo --prompt "The statement " --tokens 200 --temperature 0.8

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(VENV)/.slow
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m slow

soak: $(VENV)/.test
	$(BIN)/python -m tests.lossless.soak --minutes $(MINUTES)

check: lint
	$(BIN)/python -m pytest -n $(WORKERS) -q -m "not slow and not long"

lint: $(VENV)/.test
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/pyright --pythonpath $(BIN)/python

notebooks: $(VENV)/.slow
	$(BIN)/jupytext --quiet --set-kernel python3 --to ipynb notebooks/[0-9]*.py

format: $(VENV)/.test
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --fix --quiet .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing (PyTorch is large; a few minutes the first time) ..."
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	$(PIP) --editable ".[test]"
	@touch $@

$(VENV)/.slow: $(VENV)/.test
	$(PIP) --editable ".[oracles,notebooks,browser]"
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
