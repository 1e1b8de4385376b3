# `make demo` and `make test` are all that a newcomer types; each makes .venv and installs into it first.
# `make test-all` adds the slow tests and those of the real corpora, `make fuzz` looks for new examples for the property
# tests (for MINUTES=10), and `make bench-dedupe` sets dedupe beside its peers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
ROWS ?= 20000
MINUTES ?= 10

# pip is heard where it fails, and only there.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PIP_ROOT_USER_ACTION=ignore \
	$(BIN)/python -W ignore -m pip install -qq -c constraints.txt

.PHONY: install demo test test-all fuzz lint bench-dedupe clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "installing curate and what it stands on into $(VENV); this takes some minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[test,huggingface]'
	@touch $@

demo: install
	$(BIN)/curate demo $(DEMO)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not corpora"

test-all: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

fuzz: install
	$(BIN)/python tests/fuzz.py --minutes $(MINUTES)

bench-dedupe: install
	@$(PIP) -e '.[bench]'
	$(BIN)/python tests/benchmarks/dedupe/run_all.py --rows $(ROWS)

clean:
	rm -rf $(VENV) build dist *.egg-info
