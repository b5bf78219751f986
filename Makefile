# Stockline. `make help` lists what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/stockline
WORKERS ?= 2
SITES := $(sort $(basename $(notdir $(wildcard aoi/*.geojson))))
DEMO := demo

SERVERS := .venv-servers
PEERS := .venv-peers
BENCH := build/bench

AT ?= *-*-* 03:00

.PHONY: help setup setup-servers setup-peers bench demo test quick desktop check lint types all schedule sites clean $(SITES)

help: ## this list
	@grep -hE '^[a-z<>-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
	@printf '%s\n' 'SITE        measure one site, e.g. make camp-14; sites:' '$(SITES)' | fold -s -w 100

# The stamp is newer than the pins: nothing is installed twice, and a changed pin is installed.
# gdal-utils, whose GeoPackage validator the tests use, is installed without the GDAL bindings it does not need for that.
setup: $(VENV)/.stamp ## make .venv with pinned versions

$(VENV)/.stamp: constraints.txt pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  test -x $(VENV)/bin/python || uv venv --quiet --python $(PYTHON) $(VENV) || exit 1; \
	  install="uv pip install --quiet --python $(VENV)/bin/python"; \
	else \
	  test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || exit 1; \
	  install="$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check"; \
	fi; \
	$$install -c constraints.txt -e '.[dev]' && \
	$$install -c constraints.txt --no-deps gdal-utils
	@touch $@

setup-servers: $(SERVERS)/.stamp ## make .venv-servers: the STAC API the tests run against (needs PostgreSQL with PostGIS, nginx)

$(SERVERS)/.stamp: tests/real-servers.txt
	@if command -v uv >/dev/null 2>&1; then \
	  test -x $(SERVERS)/bin/python || uv venv --quiet --python $(PYTHON) $(SERVERS) || exit 1; \
	  uv pip install --quiet --python $(SERVERS)/bin/python -r tests/real-servers.txt || exit 1; \
	else \
	  test -x $(SERVERS)/bin/python || $(PYTHON) -m venv $(SERVERS) || exit 1; \
	  $(SERVERS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/real-servers.txt || exit 1; \
	fi
	@touch $@

setup-peers: $(PEERS)/.stamp ## make .venv-peers: what `make bench` measures the speed against

$(PEERS)/.stamp: benchmarks/peers.txt
	@if command -v uv >/dev/null 2>&1; then \
	  test -x $(PEERS)/bin/python || uv venv --quiet --python $(PYTHON) $(PEERS) || exit 1; \
	  uv pip install --quiet --python $(PEERS)/bin/python -r benchmarks/peers.txt || exit 1; \
	else \
	  test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS) || exit 1; \
	  $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt || exit 1; \
	fi
	@touch $@

bench: setup setup-peers ## time, memory and growth, against others (SIMULATED archives; 30 minutes, 25 GB of disk)
	@$(VENV)/bin/python -m benchmarks.speed $(BENCH)
	@$(VENV)/bin/python -m benchmarks.country $(BENCH)/results.json

demo: setup ## simulate an archive, measure it, print what was found (SIMULATED, offline)
	@$(RUN) simulate $(DEMO) --workers $(WORKERS)
	@$(RUN) run --config $(DEMO)/config.yaml --workers $(WORKERS)
	@$(RUN) verify $(DEMO)/results
	@printf '%s\n' 'SIMULATED. Look at $(DEMO)/results/sim-camp/report.html and open $(DEMO)/results/sim-camp/sim-camp.gpkg in QGIS;' \
	  'the truth is in $(DEMO)/truth.json.'

test: setup ## all tests but those of `make desktop`
	@$(VENV)/bin/python -m pytest -q -n $(WORKERS) -m 'not desktop'

quick: setup ## the tests without whole runs of the program
	@$(VENV)/bin/python -m pytest -q -n $(WORKERS) -m 'not slow and not desktop'

desktop: setup ## tests that open the products in QGIS and Chromium (Debian: qgis python3-qgis xvfb chromium)
	@$(VENV)/bin/python -m pytest -q -n $(WORKERS) -m desktop

lint: setup ## style
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: setup ## static types
	@$(VENV)/bin/mypy

check: lint types sites test desktop ## everything that must pass before a change lands

sites: setup ## check site files and claims
	@$(RUN) sites check

# One rule for every site file: `make camp-14`.
$(SITES): setup
	@$(RUN) run $@ --workers $(WORKERS)

all: setup ## measure every site
	@$(RUN) run --workers $(WORKERS)

schedule: setup ## start batches by themselves, every night or as AT='Mon *-*-* 03:00' says (systemd, else a crontab line)
	@$(RUN) schedule --at '$(AT)' --workers $(WORKERS)

clean: ## remove the demo; keeps .venv and results
	@rm -rf $(DEMO)
