# Monthly Briefing. `make` publishes the latest month on this machine; `make help` lists the rest.
# Needs Python 3.11 or later and make; everything else is installed into .venv from the hash-pinned lists.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEWSLETTER := $(BIN)/newsletter
# What is installed is what the lists pin by hash, the tools that build included: feedgen comes as source.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
# The month to package and mail: the latest that is packaged, unless you say MONTH=2020-09.
MONTH ?= $(shell ls build/briefings 2>/dev/null | grep -E '^[0-9]{4}-[0-9]{2}$$' | tail -n 1)
PORT ?= 8000
PREVIEW_PORT ?= 8001
# With an endpoint of your own in the environment that one is used; otherwise a local SES is started for the
# while. `make` never reaches AWS: for that there is `newsletter send`.
ifdef AWS_ENDPOINT_URL_SESV2
LOCALLY :=
else
LOCALLY := $(NEWSLETTER) local-ses --
endif

.DEFAULT_GOAL := all
.PHONY: all help setup html briefing send serve preview check check-corpus hooks publish test test-long lint bench bench-preview bench-send bench-door audit screenshots pictures lock clean distclean

all: html send ## Publish the latest month here: build, package, mail it into var/mailbox/ (the default)
	@echo
	@echo "Open it:  make serve   then   http://127.0.0.1:$(PORT)/          the site"
	@echo "                              http://127.0.0.1:$(PORT)/mailbox/  every mail, as it arrived"

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV)/run.stamp ## Make .venv with what the system needs

html: $(VENV)/run.stamp ## Build the site, the feed and the briefings' packages
	@$(NEWSLETTER) build

briefing: $(VENV)/run.stamp ## Package one month: make briefing MONTH=2020-10
	@$(NEWSLETTER) briefing '$(MONTH)'

send: $(VENV)/run.stamp ## Mail the packaged month through the local SES (sample subscribers, if there are none)
	@$(NEWSLETTER) subscribers import --if-empty samples/subscribers.csv
	@hash=$$($(NEWSLETTER) show '$(MONTH)' --hash) && $(LOCALLY) $(NEWSLETTER) send '$(MONTH)' --approve "$$hash"

serve: $(VENV)/run.stamp ## Site, mailbox and local SES at one address: http://127.0.0.1:8000/
	@$(NEWSLETTER) serve --port $(PORT)

preview: $(VENV)/run.stamp ## What readers will see, drafts too, while it is being written: http://127.0.0.1:8001/
	@$(NEWSLETTER) preview --port $(PREVIEW_PORT)

check: $(VENV)/run.stamp ## Say what is wrong with the content, and where; write nothing
	@$(NEWSLETTER) check

publish: html ## Build the site and bring what has changed to its bucket (SITE_BUCKET); ARGS=--dry-run shows what
	@$(NEWSLETTER) publish $(ARGS)

.PHONY: lambda bench-cold bench-publish scale
lambda: html ## Pack what AWS Lambda runs: build/lambda.zip, the same bytes from the same input
	@$(BIN)/python infra/archive.py

hooks: $(VENV)/dev.stamp ## Have git check each commit before it is made (once)
	@$(BIN)/pre-commit install

check-corpus: $(VENV)/dev.stamp ## How much of what is marked in tests/check_corpus/ is found, and how much besides
	@$(BIN)/python tests/check_corpus.py

test: $(VENV)/dev.stamp chromium ## Run the tests (under 10 minutes)
	@$(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile -q

test-long: $(VENV)/dev.stamp chromium build/dynamodb-local/stamp ## Run the longer proofs as well
	@$(BIN)/python -m pytest -n 2 --dist loadfile -q

lint: $(VENV)/dev.stamp ## Style, types, and which module may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

bench: $(VENV)/dev.stamp ## Time a build of 10,000 analyses, and a check of them, beside Hugo's build, in one run
	@$(BIN)/python tests/bench/build.py
	@$(BIN)/python tests/bench/check.py

bench-preview: $(VENV)/dev.stamp chromium ## Time a save to the page in the browser, at 1,000 analyses
	@$(BIN)/python tests/bench/preview.py

bench-send: $(VENV)/dev.stamp ## Mail to 1,000,000 subscribers into a sink, beside a call for each (needs the sqlite3 shell)
	@command -v sqlite3 >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq sqlite3 >/dev/null; \
	else echo "The sqlite3 shell is missing. Install it: sudo apt-get install sqlite3"; exit 1; fi
	@$(BIN)/python tests/bench/send.py

.PHONY: bench-workers
bench-workers: $(VENV)/dev.stamp ## Mails a second by 1, 2 and 4 workers at 100 ms a call, with room and at the limit
	@PYTHONPATH=. $(BIN)/python tests/bench/workers.py

bench-door: html $(VENV)/dev.stamp ## Sign-ups and one-clicks a second, beside a bare route (needs wrk)
	@command -v wrk >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq wrk >/dev/null; \
	else echo "This needs wrk. On Debian or Ubuntu: sudo apt-get install wrk"; exit 1; fi
	@$(BIN)/python tests/bench/door.py

bench-cold: html $(VENV)/dev.stamp ## What a Lambda function imports at a cold start, beside starlette and boto3 alone
	@$(BIN)/python tests/bench/cold.py

bench-publish: $(VENV)/dev.stamp ## Publish a site of 10,000 pieces to ministack's S3: first, again, after one edit
	@PYTHONPATH=. $(BIN)/python tests/bench/publish.py

scale: $(VENV)/dev.stamp ## Measure what a mailing asks of DynamoDB, simulate 10,000,000 recipients, write docs/scale.md
	@PYTHONPATH=. $(BIN)/python -m tests.scale.counts
	@PYTHONPATH=. $(BIN)/python -m tests.scale.write

audit: html $(VENV)/dev.stamp chromium tests/audit/node_modules/.package-lock.json ## Hold every kind of page against the standards (needs Node and Java)
	@PYTHONPATH=. $(BIN)/python tests/audit/audit.py

screenshots: html $(VENV)/dev.stamp chromium ## Pictures of every kind of page, wide and narrow, light and dark, in build/screenshots/
	@PYTHONPATH=. $(BIN)/python tests/audit/screenshots.py
	@PYTHONPATH=. $(BIN)/python tests/audit/door_pictures.py

pictures: $(VENV)/dev.stamp chromium ## The pictures of docs/editors.md, made anew from the running system
	@$(BIN)/python tests/audit/pictures.py

lock: ## Write the hash-pinned requirement lists anew (needs uv)
	@requirements/lock.sh

clean: ## Delete what was built; subscribers, ledger and mailbox stay
	@rm -rf output build/briefings .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

distclean: clean ## Delete the local state and .venv too: as after cloning
	@rm -rf var .venv build plugins/*.egg-info

# -- what the targets stand on

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); \
	  else echo "Python's venv is missing. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; fi; }

$(VENV)/run.stamp: requirements/build.txt requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "setup       installing what requirements/run.txt pins (once)"
	@$(PIP) -r requirements/build.txt
	@$(PIP) --no-build-isolation -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo "setup       installing what requirements/dev.txt pins (once)"
	@$(PIP) --no-build-isolation -r requirements/dev.txt
	@touch $@

tests/audit/node_modules/.package-lock.json: tests/audit/package-lock.json
	@command -v npm >/dev/null && command -v java >/dev/null || { \
	  echo "The audit needs Node (npm) and Java. On Debian or Ubuntu: sudo apt-get install npm default-jre-headless"; exit 1; }
	@cd tests/audit && npm ci --silent

# AWS's own DynamoDB Local, from Maven Central.
build/dynamodb-local/stamp: tests/dynamodb_local/pom.xml
	@command -v mvn >/dev/null && command -v java >/dev/null || { \
	  echo "The longer proofs need Java and Maven. On Debian or Ubuntu: sudo apt-get install maven default-jre-headless"; exit 1; }
	@echo "setup       fetching DynamoDB Local (once)"
	@mvn -q -B -f tests/dynamodb_local/pom.xml dependency:copy-dependencies -DoutputDirectory='$(CURDIR)/build/dynamodb-local/lib' >/dev/null
	@touch $@

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "setup       installing chromium with apt-get (once)"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else echo "The tests open the pages in Chromium. Install it: sudo apt-get install chromium"; exit 1; fi
