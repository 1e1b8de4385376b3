# `make demo` and `make test` are all that a newcomer types; each makes .venv and installs into it first.
# `make bench-dedupe` sets dedupe beside its peers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
ROWS ?= 20000

.PHONY: install demo test lint bench-dedupe clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,huggingface]'
	touch $@

demo: install
	$(BIN)/curate demo $(DEMO)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench-dedupe: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python tests/benchmarks/dedupe/run_all.py --rows $(ROWS)

clean:
	rm -rf $(VENV) build dist *.egg-info
