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

# The agent's unit tests beside all others: much of their time is waiting for clocks.
words=$(mktemp)
python -m pytest -q tests/unit/agent >"$words" 2>&1 &
agents=$!
trap 'exit 130' INT
trap 'exit 143' TERM
trap '[[ -z $agents ]] || kill "$agents" 2>/dev/null || true; rm -f "$words"' EXIT
others=0 agent=0
step python -m pytest -q tests/unit --ignore=tests/unit/agent || others=$?
wait "$agents" || agent=$?
agents=
printf '\ncheck: python -m pytest -q tests/unit/agent (beside it)\n'
cat "$words"
exit $((others ? others : agent))
