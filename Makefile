# Histovox. Each target sets up what it needs the first time; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test test-fast check check-static generate words format classifier bench doctor train evaluate learning-curve

python := .venv/bin/python
# Tests that measure time in real processes run by themselves; the others share two cores.
real := processes or window or audio
# FILE=… and its like reach the recipes as environment variables, so that spaces and quotes in them survive.
export FILE CLASSIFIER BIND DATA MODEL RECIPE NAME OUT REPORT ARGS

help: ## This list
	@echo "Histovox: an aid for reading histology images, not a diagnosis."
	@echo
	@awk -F ' *## ' '/^[a-z-]+:.*##/ { split($$1, t, ":"); printf "  make %-14s %s\n", t[1], $$2 }' $(MAKEFILE_LIST)

run: ## The application. FILE=image opens it; CLASSIFIER=tcp://host:port uses that worker
	@scripts/setup.sh run sample
	@$${CLASSIFIER:+env HISTOVOX_CLASSIFIERS="$$CLASSIFIER"} $(python) -m ui.cli run $${FILE:+"$$FILE"} $(ARGS)

test: ## All tests; ARGS="tests/domain -k verdict" for some of them
	@scripts/setup.sh dev
	@if [ -n "$$ARGS" ]; then $(python) -m pytest $(ARGS); else failed=0; \
	    $(python) -m pytest -n 2 --no-xvfb -m "not ($(real))" || failed=1; \
	    $(python) -m pytest -m "$(real)" || failed=1; exit $$failed; fi

test-fast: ## The tests without real processes, windows, sound or training: for the hand that edits
	@scripts/setup.sh dev
	@$(python) -m pytest -n 2 --no-xvfb -m "not ($(real) or training)" $(ARGS)

check: check-static test ## Format, lint, types, import contracts, generated documents, then all tests

check-static: ## The same without the tests
	@scripts/setup.sh dev
	@$(python) scripts/check.py

generate: ## Write the documents that are made from the code and the cards (docs/asyncapi.json, docs/models.md)
	@scripts/setup.sh dev
	@$(python) scripts/make_asyncapi.py
	@$(python) scripts/make_model_docs.py

words: ## Collect the marked texts into the catalogues of domain/words, and compile them; new ones wait for translation
	@scripts/setup.sh dev
	@$(python) scripts/words.py

format: ## Format the source and mend what the linter can mend
	@scripts/setup.sh dev
	@$(python) -m ruff check --fix-only --quiet . || true
	@$(python) -m ruff format --quiet .

classifier: ## A classifier worker for other machines or processes: BIND=tcp://127.0.0.1:5555
	@scripts/setup.sh run
	@$(python) -m services.classifier $${BIND:+--bind "$$BIND"} $(ARGS)

bench: ## Measure, and write docs/benchmarks.md. DATA=folder of stored patches (else synthetic ones)
	@scripts/setup.sh dev
	@$(python) -m benchmarks $${DATA:+--data "$$DATA"} $(ARGS)

doctor: ## Look for what is missing or broken, and say how to mend it
	@scripts/setup.sh run
	@$(python) -m ui.cli doctor $(ARGS)

train: ## Train a model: DATA=folder [MODEL=resnet101] [RECIPE=file.toml] [NAME=package] [OUT=runs/name]
	@scripts/setup.sh dev
	@$(python) -m services.training train --data "$${DATA:?say where the patches are: make train DATA=folder}" \
	    $${MODEL:+--architecture "$$MODEL"} $${RECIPE:+--recipe "$$RECIPE"} $${NAME:+--name "$$NAME"} \
	    $${OUT:+--out "$$OUT"} $(ARGS)

evaluate: ## Measure a model: DATA=folder [MODEL=name] [REPORT=folder] [ARGS="--tta --robustness"]
	@scripts/setup.sh run
	@$(python) -m services.training evaluate --data "$${DATA:?say where the patches are: make evaluate DATA=folder}" \
	    $${MODEL:+--model "$$MODEL"} $${REPORT:+--report "$$REPORT"} $(ARGS)

learning-curve: ## What more data would bring: DATA=folder [MODEL=resnet18] [RECIPE=file.toml] [OUT=runs/learning-curve]
	@scripts/setup.sh dev
	@$(python) -m services.training learning-curve --data "$${DATA:?say where the patches are}" \
	    $${MODEL:+--architecture "$$MODEL"} $${RECIPE:+--recipe "$$RECIPE"} $${OUT:+--out "$$OUT"} $(ARGS)
