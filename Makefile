# Every target sets up what it needs: a virtual environment in .venv with the locked dependencies.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test test-fast lint hooks ui bench gpu-check lock results clean help
.DEFAULT_GOAL := demo

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Modescope needs Python 3.11 or newer: make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: .venv/installed  ## every study, small, offline, on embedded digits, as many stages at a time as there are cores
	modescope use demo
	test -e .git || dvc config --local core.no_scm true
	modescope repro
	@echo "Open profiles/demo/reports/index.html; compare the runs with 'make ui'."

PYTEST = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 20 --durations-min 10
test: .venv/installed  ## every test, two at a time
	$(PYTEST)

test-fast: .venv/installed  ## the units alone
	$(PYTEST) -m "not slow"

lint: .venv/installed  ## ruff's rules and format
	ruff check src tests benchmarks
	ruff format --check src tests benchmarks

hooks: .venv/installed  ## let git run `make lint` before every commit
	pre-commit install

ui: .venv/installed  ## MLflow's pages, with the charts and tables of the runs
	modescope ui

bench: .venv/installed  ## measure the speed of every training loop and of the evaluation
	modescope bench

MINUTES ?= 9
gpu-check: .venv/installed  ## CUDA's tests, the benchmark and the paper's rows, in MINUTES=9
	python benchmarks/gpu_check.py pack
	python .gpu-check/benchmarks/gpu_check.py run --minutes $(MINUTES)

lock: .venv/installed  ## dvc.lock at the code of today, if that gives the demo's weights
	python -m benchmarks.lock

results: .venv/installed  ## write the results in README.md and docs/results.md anew from reports/
	python -m modescope.studies.documents README.md docs/results.md

clean:  ## remove unfinished training runs and the MLflow store
	rm -rf .ckpt mlflow.db mlartifacts .dvc/tmp

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
