# Everything that a person or a machine types: `make help` lists it. The first target that needs the environment makes it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# An empty environment has a search path that programs don't inherit.
export PATH := $(if $(PATH),$(PATH),/usr/local/bin:/usr/bin:/bin)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Hundreds of processes are started here: none shall compile Python anew, whatever the environment has.
export PYTHONDONTWRITEBYTECODE :=

BENCH := .venv-bench
# The peers' releases that the last table was made with; `make bench PEERS=` takes whatever pyproject.toml allows.
PEERS ?= torch==2.13.0

# The tests that run on each backend; they import nothing but numpy, cupy and pytest.
ON_EVERY_BACKEND := \
  tests/core/test_kernels.py tests/core/test_kernels_of_layers.py tests/core/test_backends.py \
  tests/core/layers/test_every_layer.py tests/core/gpu/test_no_waiting.py tests/core/gpu/test_feed.py \
  tests/core/gpu/test_persistent_steps.py tests/core/gpu/test_same_bits.py

EXAMPLES ?= 300
MINUTES ?= 5
DATABASE ?= sqlite
TARGET ?= cpu

# The tests of the second process: those that share a running service, and as many more as make the two equally long;
# those in a browser are the last.
DOMAINS := $(addprefix tests/service/,test_cli.py test_estimates.py cli client jobs models predictions web)

.PHONY: help screenshots bench-gpu bench-pages demo test lint types imports tests tests-core tests-service tests-domains test-postgresql test-gpu fuzz kills chaos mutations bench bench-quick bench-service bench-ingest scores growth serve image test-image docs constraints clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/installed ## train on the penguins over HTTP: weights, loss curve and predictions into demo-output/
	$(BIN)/deltabar demo

# The tests begin at once, the longest first, as they also wait; the other checks follow each other beside them.
test: $(VENV)/installed-test $(VENV)/system-packages ## every check: lint, types, import rules, all tests
	$(MAKE) --jobs 4 --output-sync=target tests-domains tests-core tests-service types lint imports

lint: $(VENV)/installed-test ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/installed-test ## pyright
	$(BIN)/pyright

imports: $(VENV)/installed-test ## who may import whom
	$(BIN)/lint-imports

tests: $(VENV)/installed-test $(VENV)/system-packages ## all tests and doctests, in three processes side by side
	$(MAKE) --jobs 3 --output-sync=target tests-core tests-service tests-domains

tests-core: $(VENV)/installed-test
	$(BIN)/pytest -p no:cacheprovider tests core benchmarks --ignore tests/service

tests-service: $(VENV)/installed-test $(VENV)/system-packages
	$(BIN)/pytest -p no:cacheprovider tests/service service $(DOMAINS:%=--ignore %)

tests-domains: $(VENV)/installed-test $(VENV)/system-packages
	$(BIN)/pytest -p no:cacheprovider $(DOMAINS)

test-postgresql: $(VENV)/installed-test $(VENV)/system-packages ## the service's tests, all on PostgreSQL too
	TESTS_ON_BOTH=1 $(BIN)/pytest tests/service

test-gpu: ## the GPU tests on a real device; needs numpy, cupy and pytest in $(PYTHON), and nothing else
	$(PYTHON) -m pytest -m gpu -p no:cacheprovider -o addopts="--strict-markers --import-mode=importlib -rs" -o filterwarnings=error $(ON_EVERY_BACKEND)

fuzz: $(VENV)/installed-test ## requests made up from the API's description, as many for each route as EXAMPLES says
	TESTS_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/service/test_fuzzed.py

kills: $(VENV)/installed-test $(VENV)/system-packages ## kill -9 of child, worker and API at every event of a job, a job for each, on both databases
	TESTS_KILLS=alone TESTS_ON_BOTH=1 $(BIN)/pytest -s tests/service/test_kills.py tests/service/test_interruptions.py

chaos: $(VENV)/installed-test $(VENV)/system-packages ## kill at random under load for MINUTES, and look at every job; DATABASE=postgresql, SEED=…
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) --database $(DATABASE) $(if $(SEED),--seed $(SEED))

mutations: $(VENV)/installed-test ## plant faults in the formulas, one at a time; each must turn its test red
	$(BIN)/python tests/mutations.py

bench: $(BENCH)/installed ## speed beside the peers, in one run; writes benchmarks/RESULTS.md, fails where a bar is missed
	$(BENCH)/bin/python -m benchmarks

bench-quick: $(BENCH)/installed ## the same for five shapes and two rounds, to try out; keeps nothing
	$(BENCH)/bin/python -m benchmarks --quick

bench-gpu: $(BIN)/python ## speed on a GPU beside PyTorch and JAX on it; adds its part to benchmarks/RESULTS.md
	@$(BIN)/python -c 'import sys; from service.devices import n_gpus; n_gpus() or sys.exit("There is no GPU to measure: the driver shows none, or there is no driver.")'
	@$(MAKE) $(BENCH)/installed-gpu
	$(BENCH)/bin/python -m benchmarks.gpu

bench-service: $(BENCH)/installed ## throughput and turnaround of jobs over HTTP; adds its part to benchmarks/RESULTS.md
	$(BENCH)/bin/python -m benchmarks.jobs

bench-ingest: $(BENCH)/installed ## a CSV file of 1 GB through the service, beside polars; adds its part to benchmarks/RESULTS.md
	$(BENCH)/bin/python -m benchmarks.ingest

bench-pages: $(VENV)/installed-test $(VENV)/system-packages ## how soon each page has content, with 10,000 jobs; fails above 300 ms
	$(BIN)/python -m benchmarks.pages

screenshots: $(VENV)/installed-test $(VENV)/system-packages ## a picture of each page, light and dark, into docs/pages
	$(BIN)/python -m tests.screenshots

scores: $(BENCH)/installed ## jobs with default settings on real tables, beside scikit-learn; adds its part to benchmarks/RESULTS.md
	$(BENCH)/bin/python -m benchmarks.scores

growth: $(BENCH)/installed ## plot a step's time against batch, width, depth, networks, threads: benchmarks/growth.png
	$(BENCH)/bin/python -m benchmarks.growth

serve: $(VENV)/installed ## run the service on 127.0.0.1:8000
	$(BIN)/deltabar serve

image: ## the image deltabar:cpu, or with TARGET=gpu the other; BASE= names the base image
	sh docker/tools.sh
	sh docker/image.sh $(TARGET)

test-image: $(VENV)/installed-test ## build the image deltabar:cpu, run it, train in it, stop it, and start it again
	@if sh docker/tools.sh; \
	then sh docker/image.sh cpu && TEST_IMAGE=deltabar:cpu $(BIN)/pytest -p no:cacheprovider --durations 5 tests/image; \
	else echo "make test-image is skipped"; fi

docs: $(VENV)/installed-test ## the table of settings in docs/operations.md anew
	$(BIN)/python -m docs.settings_table

constraints: ## docker/constraints.txt anew: the versions in the image
	$(PYTHON) docker/constraints.py

clean: ## remove what the other targets made, the environment too
	rm -rf $(VENV) $(BENCH) .venv-tool demo-output deltabar-data build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find core service tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python $(BENCH)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deltabar needs Python 3.11 or newer, and '$(PYTHON)' isn't: name another, as in 'make PYTHON=python3.12'"; exit 1; }
	@echo "Setting up $(@:/bin/python=) …"
	@# Some distributions leave venv's own pip out of Python; virtualenv brings one along.
	@$(PYTHON) -m venv $(@:/bin/python=) 2>/dev/null || { \
	  $(PYTHON) -m pip install --quiet --target .venv-tool virtualenv && \
	  PYTHONPATH=.venv-tool $(PYTHON) -m virtualenv --quiet --clear $(@:/bin/python=); }

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable .
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable '.[test]'
	@touch $(VENV)/installed $@

# Debian's packages for the tests: PostgreSQL's programs, with which they start a server of their own, on no port; and a
# browser.
HAS_POSTGRES := command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1
HAS_CHROMIUM := command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends

$(VENV)/system-packages: Makefile | $(BIN)/python
	@missing=""; { $(HAS_POSTGRES); } || missing="postgresql"; { $(HAS_CHROMIUM); } || missing="$$missing chromium"; \
	if [ -z "$$missing" ]; then touch $@; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { $(INSTALL) $$missing || { apt-get update && $(INSTALL) $$missing; }; }; \
	then touch $@; \
	else echo "Not installed, so the tests that need it are skipped; as root: apt-get install $$missing"; fi

$(BENCH)/installed-gpu: $(BENCH)/installed
	$(BENCH)/bin/python -m pip install --editable '.[bench,bench-gpu]' $(PEERS)
	@touch $@

$(BENCH)/installed: pyproject.toml | $(BENCH)/bin/python
	$(BENCH)/bin/python -m pip install --editable '.[bench]' $(PEERS)
	@touch $@
