# Every target sets up what it needs; BUILD.md explains each.
.DEFAULT_GOAL := help
.PHONY: help setup setup-current demo test test-current lint notebook clean

# Classic stack: Python 3.9 to 3.11. With a newer Python at hand the same targets
# use the current stack.
PYTHON ?= python3
# Current stack: a Python 3.13, or 3.12, looked for in the usual places.
PYTHON_CURRENT ?= $(shell tools/find_python.sh 3.13 3.12)

VENV := .venv
VENV_CURRENT := .venv-current

help:  ## Lists the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

setup: $(VENV)/.ready  ## Makes the environment in .venv for the Python at hand.

setup-current: $(VENV_CURRENT)/.ready  ## Makes .venv-current with Python 3.13 or 3.12.

$(VENV)/.ready: requirements.txt constraints.txt pyproject.toml tools/make_venv.sh
	tools/make_venv.sh $(VENV) "$(PYTHON)"

$(VENV_CURRENT)/.ready: requirements.txt constraints.txt pyproject.toml tools/make_venv.sh
	tools/make_venv.sh $(VENV_CURRENT) "$(PYTHON_CURRENT)"

demo: setup  ## Trains on drawn scenes for some minutes and writes demo/index.html.
	$(VENV)/bin/python -m pix2pix_tf.demo --output=demo

test: setup  ## Runs the tests on the Python at hand.
	$(VENV)/bin/python -m pytest

test-current: setup-current  ## Runs the tests on Python 3.13 or 3.12.
	$(VENV_CURRENT)/bin/python -m pytest

lint: setup  ## Checks format and rules with ruff.
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

notebook: setup  ## Generates the notebooks from their .py sources.
	$(VENV)/bin/jupytext --to ipynb --update notebooks/*.py

clean:  ## Removes the environments and what the demo made.
	rm -rf $(VENV) $(VENV_CURRENT) demo
