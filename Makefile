PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed

.PHONY: demo test lint clean help

help:
	@echo "make demo   create $(VENV), install, and run the whole job on the embedded miniature data (about 10 minutes)"
	@echo "make test   create $(VENV), install, lint, and run the tests"
	@echo "make clean  remove $(VENV) and what the demo wrote"

# pip compiles the bytecode, without which the first import of TensorFlow takes 20 s instead of 3.
$(STAMP): setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("msda-tf needs Python 3.11 or newer, found " + sys.version.split()[0] + ": try make PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: $(STAMP)
	$(BIN)/msda-tf demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) demo build *.egg-info
