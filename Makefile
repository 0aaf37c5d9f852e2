# The commands of a newcomer; see README.md.

VENV := .venv

.PHONY: setup demo test lint lock

setup:
	@sh docker/setup.sh

demo: setup
	@$(VENV)/bin/liupan demo

test: setup lint
	$(VENV)/bin/pytest -n 2

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Pin what pyproject.toml asks for: hashes, no addresses.
lock: setup
	$(VENV)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	    --no-emit-trusted-host --no-emit-find-links --no-annotate --upgrade \
	    --extra ingest --extra warning --extra enforcement --extra server --extra dev \
	    --output-file requirements.lock pyproject.toml
