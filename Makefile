# Every verb of the project. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := .make
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow browser clients conformance proofs chaos chaos-broken check format bench bench-peers docs catalog lock clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# -- set-up: each stamp is redone only when what it was made from has changed, so that nothing is fetched twice

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tollhouse needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "No venv module. On Debian: apt-get install python3-venv"; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: $(STAMPS)/venv requirements/build.txt requirements/run.txt pyproject.toml
	@echo "setting up: what Tollhouse runs with"
	@$(BIN)/pip install -q --require-hashes -r requirements/build.txt -r requirements/run.txt
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/test: $(STAMPS)/run requirements/test.txt
	@echo "setting up: what the tests need"
	@$(BIN)/pip install -q --require-hashes -r requirements/test.txt
	@touch $@

$(STAMPS)/dev: $(STAMPS)/test requirements/dev.txt
	@echo "setting up: the checkers"
	@$(BIN)/pip install -q --require-hashes -r requirements/dev.txt
	@touch $@

# The SDKs that the client tests drive, each set in an environment of its own.
CLIENT_SETS := newest middle oldest legacy
NPM := tests/clients/npm

$(STAMPS)/clients-%: requirements/clients-%.txt | $(STAMPS)/venv
	@echo "setting up: the $* SDKs"
	@$(PYTHON) -m venv --clear .venvs/clients-$*
	@.venvs/clients-$*/bin/pip install -q --require-hashes --only-binary :all: -r $<
	@touch $@

$(STAMPS)/clients-npm: $(NPM)/package.json $(NPM)/package-lock.json | $(STAMPS)/venv
	@command -v node >/dev/null && command -v npm >/dev/null || \
	  { echo "The JavaScript clients need Node.js 20 or newer, with npm. On Debian, as root: apt-get install nodejs npm"; exit 1; }
	@echo "setting up: the JavaScript SDKs"
	@cd $(NPM) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

# llama.cpp's server, which the slow tests put behind a house.
$(STAMPS)/llama: requirements/llama.txt | $(STAMPS)/venv
	@echo "setting up: a real model server"
	@$(PYTHON) -m venv --clear .venvs/llama
	@.venvs/llama/bin/pip install -q --require-hashes --only-binary :all: -r $<
	@touch $@

$(STAMPS)/catalog: requirements/catalog.txt | $(STAMPS)/venv
	@echo "setting up: what the table of models is written from"
	@$(PYTHON) -m venv --clear .venvs/catalog
	@.venvs/catalog/bin/pip install -q --require-hashes --only-binary :all: -r $<
	@touch $@

# Both lie outside the project.
JUDGE  ?= ../shared/conformance
CORPUS ?= ../shared/corpus

# -- verbs

demo: $(STAMPS)/run  ## open a house with a built-in mock provider on 127.0.0.1:8080
	@exec $(BIN)/python demo/demo.py

$(STAMPS)/servers: tests/servers.sh | $(STAMPS)/venv
	@sh tests/servers.sh
	@touch $@

test: $(STAMPS)/test $(STAMPS)/servers  ## all tests but the slow ones, in parallel and in random order
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" --cov --cov-report= $(ARGS)
	@$(BIN)/python -m coverage report --skip-covered --sort=cover --fail-under=90

test-slow: $(STAMPS)/test $(STAMPS)/servers $(STAMPS)/llama  ## the slow tests
	@$(BIN)/python -m pytest -n 2 -m "slow and not clients" --ignore=tests/proofs --ignore=tests/browser $(ARGS)

proofs: $(STAMPS)/test $(STAMPS)/servers  ## money, limits, revocation and outages over several houses, PostgreSQL and Redis
	@$(BIN)/python -m pytest -n 0 tests/proofs $(ARGS)

browser: $(STAMPS)/test  ## the example page in a real Chromium (Debian's: apt-get install chromium)
	@$(BIN)/python -m pytest -n 0 -m browser tests/browser $(ARGS)

clients: $(STAMPS)/test $(CLIENT_SETS:%=$(STAMPS)/clients-%) $(STAMPS)/clients-npm  ## real SDKs, oldest to newest, through a house to every kind of upstream
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m clients tests/clients $(ARGS)

conformance: $(STAMPS)/run $(STAMPS)/clients-newest  ## the judge over recorded traffic, and our own cases (JUDGE=, CORPUS=)
	@$(BIN)/python tests/conformance/run.py --judge $(JUDGE) --corpus $(CORPUS) $(ARGS)

chaos: $(STAMPS)/test $(STAMPS)/clients-newest  ## the catalogue of faults against a real house (CORPUS=, ARGS="--only U03,C02")
	@cd tests && TOLLHOUSE_CORPUS=$${TOLLHOUSE_CORPUS:-$(abspath $(CORPUS))} ../$(BIN)/python -m chaos $(ARGS)

chaos-broken: $(STAMPS)/test $(STAMPS)/clients-newest  ## the same against builds that are broken on purpose: each must fail
	@cd tests && TOLLHOUSE_CORPUS=$${TOLLHOUSE_CORPUS:-$(abspath $(CORPUS))} ../$(BIN)/python -m chaos --broken $(ARGS)

check: $(STAMPS)/dev  ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMPS)/dev  ## write the format the check asks for
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMPS)/test  ## measure against nginx, and LiteLLM and Envoy where installed
	@$(BIN)/python -m bench $(ARGS)

bench-peers: $(STAMPS)/run  ## install the optional peers of the bench
	@$(BIN)/python -m bench.peers install

docs: $(STAMPS)/run  ## write the generated reference
	@$(BIN)/python docs/generate.py

catalog: $(STAMPS)/catalog  ## write the table of models and prices anew
	@.venvs/catalog/bin/python tools/write_catalog.py

lock: $(STAMPS)/dev  ## pin what pyproject.toml asks for, with hashes and without addresses
	@sh requirements/lock.sh $(BIN)

clean:  ## forget everything that was made
	rm -rf $(VENV) .venvs $(NPM)/node_modules $(STAMPS) .demo build dist bench/out .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
