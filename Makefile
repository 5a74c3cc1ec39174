# Every target sets up what it needs; BUILD.md explains each.
.DEFAULT_GOAL := help
.PHONY: help setup setup-current wheel node node-for-tests demo page test test-all test-current \
	test-all-current lint docs notebook verify verify-current bench gpu-check robustness robustness-current fuzz serving-check clean

# Classic stack: Python 3.9 to 3.11. With a newer Python at hand the same targets
# use the current stack.
PYTHON ?= python3
# Current stack: a Python 3.13, or 3.12, looked for in the usual places.
PYTHON_CURRENT ?= $(shell tools/find_python.sh 3.13 3.12)

VENV := .venv
VENV_CURRENT := .venv-current
NODE_MODULES := export/browser/runner/node_modules
PAGE := page
# Of `make verify`: the run folder, and which of its checkpoints.
WORKDIR ?=
CHECKPOINT ?= newest
# More flags for export.verify, such as --dataset=DIR or --runtimes=cpp.
VERIFY_FLAGS ?=
require_workdir = @test -n "$(WORKDIR)" || \
	{ echo "error: WORKDIR is empty. Name a run folder: make $@ WORKDIR=runs/facades" >&2; exit 2; }
# Of `make serving-check`: a running TensorFlow Serving, and the model folder it serves, if known.
ADDRESS ?= localhost:8500
REST ?= http://$(firstword $(subst :, ,$(ADDRESS))):8501
MODEL ?=
FUZZ_SECONDS ?= 600
# More flags for benchmarks.gpu_check, such as --dataset=facades.
GPU_CHECK_FLAGS ?=
# Of `make bench`: a Python with PyTorch; empty leaves that peer out.
TORCH_PYTHON ?=
# More flags for benchmarks, such as --without_onednn.
BENCH_FLAGS ?=

help:  ## Lists the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

setup: $(VENV)/.ready  ## Makes the environment in .venv for the Python at hand.

setup-current: $(VENV_CURRENT)/.ready  ## Makes .venv-current with Python 3.13 or 3.12.

$(VENV)/.ready: requirements.txt constraints.txt pyproject.toml setup.py tools/make_venv.sh
	tools/make_venv.sh $(VENV) "$(PYTHON)"

$(VENV_CURRENT)/.ready: requirements.txt constraints.txt pyproject.toml setup.py tools/make_venv.sh
	tools/make_venv.sh $(VENV_CURRENT) "$(PYTHON_CURRENT)"

demo: setup  ## Trains on drawn scenes for some minutes; writes demo/index.html and demo/web.
	$(VENV)/bin/python -m pix2pix_tf.demo --output=demo
	@tools/make_demo_page.sh demo $(VENV)/bin/python "$(MAKE)"

page: $(PAGE)/site.json  ## Opens the drawing page of the trained model that comes with the package.
	$(VENV)/bin/python -m export.web.serve --site=$(PAGE)

$(PAGE)/site.json: $(VENV)/.ready $(NODE_MODULES)/.ready pix2pix_tf/pretrained/houses/model_card.json $(wildcard export/web/site/* export/web/runtimes/*.*)
	rm -rf $(PAGE)
	$(VENV)/bin/python -m export.web --workdir=houses --output=$(PAGE)

wheel:  ## Makes dist/pix2pix_tf-VERSION-py3-none-any.whl, the trained model in it.
	rm -rf build dist
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir=dist .
	rm -rf build
	@ls -sh dist

node: $(NODE_MODULES)/.ready  ## Installs LiteRT.js and TF.js, for export.web and export.verify; needs npm.

$(NODE_MODULES)/.ready: export/browser/runner/package-lock.json
	@command -v npm > /dev/null || { echo "error: There is no npm: install Node.js 18 or newer." >&2; exit 1; }
	npm ci --prefix export/browser/runner --no-audit --no-fund --loglevel=error
	touch $@

# Without LiteRT.js and TF.js their tests and those of the page are skipped, and say so; CI wants them all.
node-for-tests:
	@command -v npm > /dev/null || exit 0; \
	$(MAKE) --no-print-directory node && exit; \
	[ -z "$$PIX2PIX_REQUIRE_PROGRAMS" ] && echo "LiteRT.js and TF.js could not be installed: their tests will be skipped."

# One process for each core, if the memory allows (tests/conftest.py). The tests of a class stay in
# one process, since they share its set-up.
PYTEST := -m pytest --numprocesses=auto --dist=loadscope

test: setup node-for-tests  ## Runs the fast tests on the Python at hand: 8 minutes on two cores.
	$(VENV)/bin/python $(PYTEST) -m "not slow"

test-all: setup node-for-tests  ## Runs all tests on the Python at hand.
	$(VENV)/bin/python $(PYTEST)

test-current: setup-current node-for-tests  ## Runs the fast tests on Python 3.13 or 3.12.
	$(VENV_CURRENT)/bin/python $(PYTEST) -m "not slow"

test-all-current: setup-current node-for-tests  ## Runs all tests on Python 3.13 or 3.12.
	$(VENV_CURRENT)/bin/python $(PYTEST)

lint: setup  ## Checks format and rules with ruff, and types with mypy.
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	@test -x $(VENV)/bin/mypy || echo "mypy needs Python 3.10: types are not checked."
	! test -x $(VENV)/bin/mypy || $(VENV)/bin/mypy

docs: setup  ## Makes the API reference in api_site/; a warning is an error.
	@test -x $(VENV)/bin/mkdocs || { echo "error: The API reference needs Python 3.11." >&2; exit 1; }
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

notebook: setup  ## Generates the notebooks from their .py sources.
	$(VENV)/bin/jupytext --to ipynb --update notebooks/*.py

verify: setup node  ## Compares all runtimes on a run: WORKDIR=DIR [CHECKPOINT=best]; writes parity/.
	$(call require_workdir)
	$(VENV)/bin/python -m export.verify --workdir="$(WORKDIR)" --checkpoint="$(CHECKPOINT)" \
		--output=parity $(VERIFY_FLAGS)

verify-current: setup-current node  ## The same on Python 3.13 or 3.12; writes parity-current/.
	$(call require_workdir)
	$(VENV_CURRENT)/bin/python -m export.verify --workdir="$(WORKDIR)" \
		--checkpoint="$(CHECKPOINT)" --output=parity-current $(VERIFY_FLAGS)

bench: setup setup-current  ## Times this project and its peers; writes docs/benchmarks.md.
	$(VENV)/bin/python -m benchmarks --output=docs/benchmarks.md --torch_python="$(TORCH_PYTHON)" $(BENCH_FLAGS) \
	    --pythons=$(VENV)/bin/python,$(VENV_CURRENT)/bin/python

# Without CUDA's libraries TensorFlow does not see the GPU.
gpu-check: setup  ## Measures what needs a GPU, for a report to send back; writes gpu_check/.
	@! command -v nvidia-smi > /dev/null || \
		$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt 'tensorflow[and-cuda]'
	$(VENV)/bin/python -m benchmarks.gpu_check --output=gpu_check $(GPU_CHECK_FLAGS)

robustness: setup  ## Kills a run 20 times, and feeds hostile files to all that reads files.
	PYTHONPATH=. $(VENV)/bin/python tests/killed_runs.py --kills=20
	PYTHONPATH=. $(VENV)/bin/python tests/hostile_runs.py

robustness-current: setup-current  ## The same on Python 3.13 or 3.12.
	PYTHONPATH=. $(VENV_CURRENT)/bin/python tests/killed_runs.py --kills=20
	PYTHONPATH=. $(VENV_CURRENT)/bin/python tests/hostile_runs.py

fuzz: setup  ## Looks for bytes that the decoders do not survive, for FUZZ_SECONDS (600).
	FUZZ_SECONDS=$(FUZZ_SECONDS) PYTHONPATH=. $(VENV)/bin/python tests/fuzz_decoders.py

serving-check: setup  ## Tests a running TensorFlow Serving: ADDRESS=host:port [MODEL=DIR].
	PIX2PIX_SERVING_ADDRESS="$(ADDRESS)" PIX2PIX_SERVING_REST="$(REST)" \
	PIX2PIX_SERVING_MODEL="$(MODEL)" $(VENV)/bin/python -m pytest tests/test_tf_serving_client.py

clean:  ## Removes the environments, LiteRT.js, TF.js, and what demo, page, docs, verify, gpu-check and wheel have made.
	rm -rf $(VENV) $(VENV_CURRENT) $(NODE_MODULES) demo $(PAGE) parity parity-current gpu_check api_site build dist
