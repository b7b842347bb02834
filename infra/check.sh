#!/usr/bin/env bash
# The fast gate: nothing here needs a service, a container or the network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/.venv/bin:$PATH"

step() { printf '\ncheck: %s\n' "$*"; "$@"; }

step ruff format --check .
step ruff check .
step mypy
step lint-imports
step python -m pytest -q -n 2 --dist loadfile tests/unit  # much of it is waiting for clocks
