#!/usr/bin/env bash
# The gate, then every test on real components in two throw-away farms side by side. Whatever happens, both are stopped again.
#   infra/test.sh [words for pytest]
#
# In the second farm runs what starts whole farms or agents, and what kills or floods the broker itself. The first lot is named by
# what it leaves out, so that a new folder is always in one of them. The unit tests have run in the gate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export FARM_DIR="${FARM_DIR:-$PWD/.farm-test}"
SECOND="$FARM_DIR-whole"
PYTHON=.venv/bin/python
WHOLE=(tests/farm tests/failures tests/integration/agent tests/faults tests/security/test_flood.py)
BRIEF=(--tb=short --show-capture=no --durations=15 -rfE) # the services keep their own logs
LOG=build/test-whole-farms.log
BESIDE=""

each() { # a command for each of the farms
    "$@" && FARM_DIR=$SECOND "$@"
}

stop() {
    local status=$?
    trap '' INT TERM
    if [[ -n $BESIDE ]]; then
        ((status == 130)) || kill -INT "$BESIDE" 2>/dev/null || true # at Ctrl-C it has heard it, too
        wait "$BESIDE" || true
    fi
    if ((status)); then
        each $PYTHON -m infra.local down || true
        printf '\ntest: FAILED (exit %s); the logs of the farms are in %s and %s\n' "$status" "$FARM_DIR/logs" "$SECOND/logs"
    else
        each $PYTHON -m infra.local down --remove
    fi
    exit "$status"
}

infra/check.sh
each $PYTHON -m infra.local down --remove >/dev/null
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
each $PYTHON -m infra.images
each $PYTHON -m infra.local up --only infra
mkdir -p build

# A shell starts what runs beside it deaf to Ctrl-C.
FARM_DIR=$SECOND env --default-signal=INT $PYTHON -m pytest "${BRIEF[@]}" --junitxml=build/test-whole-farms.xml "${WHOLE[@]}" "$@" >"$LOG" 2>&1 &
BESIDE=$!
main=0 beside=0
printf '\ntest: pytest, one component at a time\n'
$PYTHON -m pytest "${BRIEF[@]}" --junitxml=build/test-components.xml tests --ignore=tests/unit "${WHOLE[@]/#/--ignore=}" "$@" || main=$?
printf '\ntest: pytest, agents, whole farms, killed and flooded (beside it, from %s)\n' "$LOG"
wait "$BESIDE" || beside=$?
BESIDE=""
cat "$LOG"
((main == 0)) || exit "$main"
((beside == 0)) || exit "$beside"
