# Thin: every line calls a script or a Python module that can be called by hand as well. `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
# When the command was typed, for reports of how long everything took.
export FRAMELEND_STARTED := $(shell date +%s.%N)

.PHONY: help setup installed up down status logs images demo test test-long test-gpu check docs dashboard-picture bench

help: ## list the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## install what the farm needs (Debian 12; a moment when all is there)
	@infra/setup.sh

up: setup ## start the farm: broker, database, store, engine, our services, the house agent
	@$(PYTHON) -m infra.images render && $(PYTHON) -m infra.local up

down: ## stop the farm; nothing is left running
	@infra/setup.sh && $(PYTHON) -m infra.local down

installed:
	@test -x $(PYTHON) || { echo "nothing is installed here yet, so no farm runs: make setup" >&2; exit 1; }

status: installed ## show every program of the farm
	@$(PYTHON) -m infra.local status

logs: installed ## follow the logs (NAME=scheduler for one program)
	@$(PYTHON) -m infra.local logs $(NAME)

images: setup ## build the images: render, services, agent (TARGET=render-gpu: the one with GPU kernels)
	@$(PYTHON) -m infra.images $(or $(TARGET),all)

demo: setup ## a whole animation, rendered by a house agent and two lenders' agents; see build/demo
	@$(PYTHON) -m infra.demo

check: setup ## the fast gate: format, lint, types, arrows, unit tests
	@infra/check.sh

test: setup ## everything on real components, in a farm of its own
	@infra/test.sh -m "not long"

test-long: setup ## the longer forms too
	@FRAMELEND_EXPLORE=1 infra/test.sh

test-gpu: setup ## the GPU image on this machine's NVIDIA GPUs; says so when there is none
	@$(PYTHON) -m tests.gpu

docs: setup ## rebuild docs/generated
	@$(PYTHON) -m infra.docs

dashboard-picture: setup ## draw the running farm's dashboard into build/dashboard.png
	@$(PYTHON) -m infra.grafana picture

bench: setup ## all benchmarks; tables here, figures in build/bench
	@$(PYTHON) -m tests.bench

bench-%: setup ## one benchmark, e.g. bench-assignments
	@$(PYTHON) -m tests.bench $*
