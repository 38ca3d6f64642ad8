# make run [HOURS=8] [SOURCE=climbmix]   install, prepare the corpus, run a session that fits this machine
# make demo            a few minutes without a card or a key: a small model, real experiments, a report
# make test            the test suite
# make test-slow       the tests that it leaves out, from some seconds to some minutes each
# make lint            ruff, mypy and import-linter
# make check           lint, then test: what to run before a commit
VENV := .venv
HOURS ?=
SOURCE ?=
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: run demo test test-slow lint check clean

run: $(VENV)/.ready
	$(if $(SOURCE),AUTORESEARCH_SOURCE='$(SOURCE)') $(VENV)/bin/autoresearch run $(if $(HOURS),--hours $(HOURS),--minutes 15)

demo: $(VENV)/.ready
	$(VENV)/bin/autoresearch demo

test: $(VENV)/.ready
	$(VENV)/bin/pytest -q -n auto --dist worksteal

test-slow: $(VENV)/.ready
	$(VENV)/bin/pytest -q -n auto --dist worksteal -m slow

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check -q .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

check: lint
	$(MAKE) test

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# uv installs in seconds where it can be had; pip does the same, slower. Both compile what they install: cells cannot
# write bytecode, and each would compile torch anew
$(VENV)/.ready: pyproject.toml
	@echo "installing into $(VENV): a minute or two, most of it torch"
	@python3 -m venv $(VENV)
	@if $(VENV)/bin/python -m pip install -q uv; \
	then $(VENV)/bin/uv pip install -q --compile-bytecode -p $(VENV) -e ".[dev]"; \
	else $(VENV)/bin/python -m pip install -q -e ".[dev]"; fi
	@touch $@
