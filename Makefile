# Thin on purpose: every target is one call of build.py, whose --help says more.
# ARGUMENTS is handed on:  make train-ensemble-cpu ARGUMENTS="--channel train=data/train.csv"

.DEFAULT_GOAL := help
ARGUMENTS ?=
PYTHON := .venv/bin/python
# Where the packages of the images lie: opt_ml, and each family's own.
PACKAGES := $(shell echo entrypoints containers/*/algorithm | tr ' ' ':')
# Stamps: the environment is made anew when its lock changes.
SETUP := .venv/toolkit.stamp
DEV := .venv/dev.stamp
# The SageMaker Python SDKs 2 and 3 exclude each other, and nothing of them may meet the toolkit.
SDKS := .venv/sdk-v2.stamp .venv/sdk-v3.stamp
# The fuzzers, and what an image reads requests with.
FUZZ := .venv/fuzz.stamp

.PHONY: help demo test zoo fuzz bench-serving peers setup sdks doctor lint lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: doctor ## From nothing to served predictions: build, train, serve and invoke the ensemble image
	@./build.py demo

test: doctor $(DEV) $(SDKS) lint ## Lint, types, unit tests, the images and the container contract
	@./build.py build ensemble-cpu
	@$(PYTHON) -m pytest $(ARGUMENTS)

build-%: doctor ## Build an image, such as build-ensemble-cpu
	@./build.py build $* $(ARGUMENTS)

train-%: doctor ## Run a training job on this machine (ARGUMENTS="--channel train=DIR ...")
	@./build.py train $* $(ARGUMENTS)

tune-%: doctor ## Search for the best hyperparameters (ARGUMENTS="--range max_depth=4:10 ...")
	@./build.py tune $* $(ARGUMENTS)

remote-%: $(SETUP) ## Build an image in AWS CodeBuild and push it to ECR (ARGUMENTS="--base dlc ...")
	@./build.py remote $* $(ARGUMENTS)

serve-%: doctor ## Serve the newest model that this image trained (ARGUMENTS="--model PATH ...")
	@./build.py serve $* $(ARGUMENTS)

push-%: doctor ## Build an image, push it to Amazon ECR and print its image_uri (ARGUMENTS="--region REGION")
	@./build.py push $* $(ARGUMENTS)

test-%: doctor $(DEV) $(SDKS) ## Build an image and test it: the container contract, and what only its family does
	@./build.py build $*
	@$(PYTHON) -m pytest tests/conformance tests/images --image $* $(ARGUMENTS)

verify-%: $(SETUP) ## Check an image against the SageMaker container contract (ARGUMENTS="--html report.html")
	@./build.py verify $* $(ARGUMENTS)

zoo: doctor $(DEV) $(SDKS) ## Break each rule of the contract in an image, and see its tests fail (ARGUMENTS="HOST-52")
	@$(PYTHON) -m tests.zoo $(ARGUMENTS)

fuzz: $(FUZZ) ## 100000 malformed requests, then coverage-guided ones (ARGUMENTS="--examples N --runs N")
	@.venv/fuzz/bin/python -m tests.fuzz $(ARGUMENTS)

bench-serving: $(DEV) ## Measure our server beside others (ARGUMENTS="--quick"; benchmarks/serving/README.md)
	@$(PYTHON) -m benchmarks.serving $(ARGUMENTS)

peers: doctor $(DEV) ## Verify the images of others beside ours (docs/peers.md; ARGUMENTS="mlserver")
	@$(PYTHON) -m tests.peers $(ARGUMENTS)
	@./build.py generate

setup: $(SETUP) ## Make the Python environment of build.py (.venv)

sdks: $(SDKS) ## Make the environments of the SageMaker Python SDKs that tests/clients drives

doctor: $(SETUP) ## Check this machine; install and start a Docker engine where there is none
	@./build.py doctor --fix --quiet

lint: $(DEV) ## Style, types and import rules
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@MYPYPATH=$(PACKAGES) .venv/bin/mypy
	@PYTHONPATH=.:$(PACKAGES) .venv/bin/lint-imports --no-logo

lock: $(DEV) ## Resolve every requirements file anew, with hashes
	@./build.py lock

clean: ## Remove jobs/ and the Python environment; images stay
	rm -rf jobs .venv .build

$(SETUP): requirements/toolkit.txt | $(PYTHON)
	@python3 toolkit/bootstrap.py requirements/toolkit.txt
	@touch $@

# Missing, or made with a Python that has been replaced since.
$(PYTHON):
	@python3 toolkit/bootstrap.py requirements/toolkit.txt

$(DEV): requirements/dev.txt $(SETUP)
	@$(PYTHON) toolkit/bootstrap.py requirements/dev.txt
	@touch $@

$(FUZZ): requirements/fuzz.txt | $(SETUP)
	@python3 toolkit/bootstrap.py $< .venv/fuzz
	@touch $@

.venv/sdk-%.stamp: requirements/sdk-%.txt | $(SETUP)
	@python3 toolkit/bootstrap.py $< .venv/sdk-$*
	@touch $@
