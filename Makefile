# `make demo` and `make test` set up everything themselves: a virtual environment in .venv with the locked dependencies.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test ui bench gpu-check clean
.DEFAULT_GOAL := demo

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Modescope needs Python 3.11 or newer: make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: .venv/installed
	modescope use demo
	test -d .git || dvc config --local core.no_scm true
	dvc repro
	@echo "Open reports/index.html; compare the runs with 'make ui'."

test: .venv/installed
	python -m pytest

ui: .venv/installed
	modescope ui

bench: .venv/installed
	modescope bench

MINUTES ?= 9
gpu-check: .venv/installed
	python benchmarks/gpu_check.py pack
	python .gpu-check/benchmarks/gpu_check.py run --minutes $(MINUTES)

clean:
	rm -rf .ckpt mlflow.db mlartifacts .dvc/tmp
