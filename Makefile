PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMP   = $(VENV)/.installed
STAMP_ALL  = $(VENV)/.installed-all
STAMP_DOCS = $(VENV)/.installed-docs

# What test-all asks pip for. PyPI's own build for Linux brings 3 GB of CUDA libraries; where pip reaches PyTorch's index:
#   make test-all TORCH='torch --index-url https://download.pytorch.org/whl/cpu --extra-index-url https://pypi.org/simple'
TORCH ?= torch==2.13.0
# Processes that run the tests of test-all.
JOBS  ?= 2

.PHONY: demo test test-all fuzz lint docs clean help

help:
	@echo "make demo       create $(VENV), install, and run the whole job on the embedded miniature data (about 10 minutes)"
	@echo "make test       create $(VENV), install, lint, and run the tests; those of extras that are missing are skipped"
	@echo "make test-all   the same with every extra, in $(JOBS) processes; a test that is skipped fails"
	@echo "make fuzz       hostile files and settings for FUZZ_SECONDS (600); FUZZ_SEED=n runs one case again"
	@echo "make docs       write docs/configuration.md and build the pages into build/site"
	@echo "make clean      remove $(VENV) and what the demo and the documentation wrote"

# pip compiles the bytecode, without which the first import of TensorFlow takes 20 s instead of 3.
$(STAMP): setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("msda-tf needs Python 3.11 or newer, found " + sys.version.split()[0] + ": try make PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[test]'
	touch $@

# In one call, so that pip finds versions that fit all of them.
$(STAMP_ALL): $(STAMP)
	$(PIP) -e '.[test,all,docs]' $(TORCH)
	touch $@

$(STAMP_DOCS): $(STAMP)
	$(PIP) -e '.[docs]'
	touch $@

demo: $(STAMP)
	$(BIN)/msda-tf demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest -rs

# A file's tests stay in one process, in order. Reordered, files of few but long tests would come last, and one process end early.
test-all: lint $(STAMP_ALL)
	$(BIN)/python -m pytest -rs --no-skips -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Prints every seed; FUZZ_FIRST is the first one (the time by default), FUZZ_CASE the only case of tests/fuzz/cases.py.
export FUZZ_SECONDS ?= 600
fuzz: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m fuzz.run

docs: $(STAMP_DOCS)
	$(BIN)/python docs/write_settings.py
	$(BIN)/python docs/collect_pages.py
	$(BIN)/mkdocs build --strict --quiet --config-file docs/mkdocs.yml

clean:
	rm -rf $(VENV) demo build *.egg-info
