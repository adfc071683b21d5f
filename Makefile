# `make demo` and `make test` do all their own set-up, in .venv; a second run does it no more.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Settings that would make pip install elsewhere than into the environment.
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PYTHONHOME PYTHONPATH

# A failed install leaves no stamp, so that the next make tries again.
.DELETE_ON_ERROR:
.PHONY: help demo test lint types unit clean

help:
	@echo "make demo    install, and run the sample clip through the default pipeline"
	@echo "make test    install with the test tools, then ruff, mypy and pytest"
	@echo "make lint    ruff alone; make types: mypy alone; make unit: pytest alone"
	@echo "make clean   remove the environment, the caches and the demo's output"
	@echo "PYTHON=...   which Python makes the environment (default: python3; 3.11 or later)"

demo: $(VENV)/.installed
	$(BIN)/vidclf demo

test: lint types unit

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-tests
	$(BIN)/mypy

unit: $(VENV)/.installed-tests
	$(BIN)/pytest

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo >&2 "vidclf needs Python \
	3.11 or later, '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo not there); say which one to use: \
	make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Editable: what is changed in the checkout is what runs.
$(VENV)/.installed: $(VENV)/.created setup.cfg pyproject.toml
	$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-tests: $(VENV)/.installed
	$(PIP) install --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache demo-output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
