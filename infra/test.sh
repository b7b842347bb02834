#!/usr/bin/env bash
# The gate, then every test on real components in a throw-away farm. Whatever happens, the farm is stopped again.
#   infra/test.sh [words for pytest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export FARM_DIR="${FARM_DIR:-$PWD/.farm-test}"
PYTHON=.venv/bin/python

stop() {
    local status=$?
    trap '' INT TERM
    if ((status)); then
        $PYTHON -m infra.local down || true
        printf '\ntest: FAILED (exit %s); the logs of the farm are in %s\n' "$status" "$FARM_DIR/logs"
    else
        $PYTHON -m infra.local down --remove
    fi
    exit "$status"
}

infra/check.sh
$PYTHON -m infra.local down --remove >/dev/null
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
$PYTHON -m infra.images
$PYTHON -m infra.local up --only infra
printf '\ntest: pytest\n'
# The unit tests have run in the gate.
$PYTHON -m pytest --ignore=tests/unit --durations=25 "$@"
