# Two commands: `make run` and `make test`. The rest is for those who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIZES := on Linux some 5 minutes and 5 GB; with the small torch that the README names 2 to 3 and 1.6 GB
KERNELS := $(wildcard fedchain/native/*.[ch])
SCENARIO ?= first_light

.PHONY: run test test-long test-elsewhere check format bench figures robustness site page lessons clean

run: $(VENV)/.installed
	$(BIN)/fedchain run $(SCENARIO) $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 -m "not long"

test-long: $(VENV)/.installed-dev
	$(BIN)/pytest -m long tests

test-elsewhere: $(VENV)/.installed-dev
	$(BIN)/python tests/elsewhere.py $(ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 -m "not long"

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/compare.py --json .bench/performance.json $(ARGS)

# Pictures and tables of the README and of docs/: all of them take hours, ARGS="NAME .." some,
# --list shows the names with their times.
figures: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/figures.py $(ARGS)

# The documentation as a site in .site/, without network but for the installation of mkdocs.
site: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/python benchmarks/docs_site.py $(ARGS)

# The makers of docs/robustness.md and docs/which_rule.md alone.
robustness: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/robustness.py

# The recorded runs of the lessons and their glossary, in fedchain/page/lessons: some minutes.
lessons: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/lessons.py $(ARGS)

# The page's bundle, from web/ into fedchain/page/static: needs node 20 or newer.
page: web/node_modules/.package-lock.json
	npm --prefix web run --silent check
	npm --prefix web run --silent build

web/node_modules/.package-lock.json: web/package-lock.json
	npm ci --prefix web --no-audit --no-fund
	touch $@

clean:
	rm -rf $(VENV) .site .elsewhere web/node_modules web/.tests build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fedchain needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 run" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The light install (what a run needs) and the full one (what the tests need as well). A torch that
# is there already, such as the small build for processors alone, is kept: see the README.
$(VENV)/.installed: pyproject.toml setup.py $(KERNELS) | $(VENV)/bin/python
	@echo "installing into $(VENV), the first time only: $(SIZES)" >&2
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py $(KERNELS) | $(VENV)/bin/python
	@echo "installing into $(VENV), with the tools of the tests, the first time only: $(SIZES)" >&2
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/.installed
