# Every task of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A distribution builds its Python with profile-guided optimisation, as the images have it; one that a
# version manager compiles by its defaults takes 1.6 times as long.
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell /usr/bin/python3 -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' \
	2>/dev/null && echo /usr/bin/python3 || echo python3)
endif
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/pytest
JOBS ?= 2
# tests of real programs wait more than they compute
WAITING_JOBS ?= 4
# a machine may know authorities that the tools do not come with
export UV_SYSTEM_CERTS ?= true
# where the environment forbids to keep what is compiled, each start of a program would compile anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Create .venv with the locked dependencies and the project

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -q && apt-get install --yes -q python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
.PHONY: lock
lock: ## Write requirements/*.txt anew from pyproject.toml
	$(LOCK) --extra operator pyproject.toml -o requirements/operator.txt
	$(LOCK) --extra registry --extra postgresql pyproject.toml -o requirements/registry.txt
	$(LOCK) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	printf 'pip\nhatchling\n' | $(LOCK) - -o requirements/build.txt

.PHONY: check
check: lint types imports unit ## The fast part: style, types, room rules, unit tests

.PHONY: lint
lint: install ## Style of Python and shell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	git ls-files '*.sh' .ci/run hack/cluster | xargs -r $(BIN)/shellcheck

.PHONY: format
format: install ## Rewrite Python files in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: install ## mypy, strict
	$(BIN)/mypy operator registry kubectl tests hack

.PHONY: imports
imports: install ## Which room may import which
	$(BIN)/lint-imports --no-cache

.PHONY: unit
unit: install ## Unit, golden, property and contract tests
	$(PYTEST) -n $(JOBS) tests/operator tests/registry tests/kubectl tests/contract tests/fuzz

# Tests of a file share its server: neighbours go to one worker as long as all have work.
NEIGHBOURS := -n $(WAITING_JOBS) --dist worksteal
INTEGRATION := tests/integration tests/hack

.PHONY: integration
integration: integration-programs ## The real server on loopback; the operator against a real kube-apiserver
	$(PYTEST) $(NEIGHBOURS) $(INTEGRATION)

.PHONY: integration-programs
integration-programs: install
	$(PYTHON) hack/programs.py kube-apiserver kube-controller-manager etcd kubectl versitygw crane distribution oras
	$(PYTHON) hack/debian.py docker-registry e2fsprogs fuse3

.PHONY: conformance
conformance: conformance-programs ## The OCI distribution-spec suite against the real server
	$(PYTEST) -n $(JOBS) tests/conformance

.PHONY: conformance-programs
conformance-programs: install
	$(PYTHON) hack/programs.py conformance versitygw

.PHONY: clients
clients: clients-programs ## Clients that people use, against the real server
	$(PYTEST) $(NEIGHBOURS) tests/clients

.PHONY: clients-programs
clients-programs: install
	$(PYTHON) hack/debian.py containerd buildah skopeo
	$(PYTHON) hack/programs.py crane regctl oras helm cosign buildctl buildkitd containerd ctr runc

.PHONY: processes
processes: integration-programs conformance-programs clients-programs ## integration, conformance and clients in one run
	$(PYTEST) $(NEIGHBOURS) tests/conformance tests/clients $(INTEGRATION)

.PHONY: fuzz
fuzz: install ## Search long for requests that break the server (MINUTES=30)
	CAIS_FUZZ_MINUTES=$(or $(MINUTES),30) $(PYTEST) -n $(JOBS) tests/fuzz \
		tests/integration/postgresql/test_fuzz.py

.PHONY: core-postgresql
core-postgresql: install ## The tests of the server's core once more, over PostgreSQL
	$(PYTEST) -n $(JOBS) tests/postgresql

.PHONY: ledger
ledger: install ## Kill the server, and cut its power, hundreds of times; what was acknowledged has to be there
	$(PYTHON) hack/debian.py fuse3
	CAIS_LEDGER_CYCLES=$(or $(CYCLES),300) $(PYTEST) -n $(JOBS) \
		tests/integration/registry/test_ledger.py tests/integration/registry/test_power_loss.py

.PHONY: test
test: ## Every rung of tests, from style to whole cluster
	$(MAKE) lint imports
	$(MAKE) processes
	$(MAKE) e2e BESIDE="types unit"

-include hack/*.mk
