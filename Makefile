# Every target but `clean` makes the clone ready first; that is quick when nothing is to do.
.DEFAULT_GOAL := help
.PHONY: help setup check test demo demo-debian clean
MAKEFLAGS += --no-print-directory

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)$(if $(wildcard tests/drills),, | grep -v ' drills ')

setup: ## install what is missing and make .venv
	@scripts/dev/setup

check: setup ## style, types, shell scripts, architecture
	@scripts/dev/check

test: setup ## run all the tests (ARGS="-m unit" for fewer)
	@scripts/dev/test $(ARGS)

demo: setup ## build a Debian template from nothing but the package mirror
	@.venv/bin/factory build images/debian-quick.yml

demo-debian: setup ## build Debian with the real Debian installer
	@.venv/bin/factory build images/debian-netboot.yml

ifneq ($(wildcard tests/drills),)
.PHONY: drills
drills: setup ## kill the program at 200 moments: nothing may stay behind (KILLS=N for another number)
	@FACTORY_DRILL_KILLS=$(or $(KILLS),200) scripts/dev/test tests/drills
endif

clean: ## remove .venv and what the tools cached here (never output/)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
