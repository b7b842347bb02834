#!/usr/bin/env bash
# The gate, then every test on real components in a throw-away farm. Whatever happens, the farm is stopped again.
#   infra/test.sh [words for pytest]
#
# Each test has a virtual host and databases of its own, so two lots run side by side; what kills or floods the broker itself runs
# after them, alone. The middle lot is named by what it leaves out, so that a new folder is always in one of them. The unit tests
# have run in the gate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export FARM_DIR="${FARM_DIR:-$PWD/.farm-test}"
PYTHON=.venv/bin/python
WHOLE_FARMS=(tests/farm tests/failures)
ALONE=(tests/faults tests/security/test_flood.py)
LOG=build/test-whole-farms.log
BESIDE=""

stop() {
    local status=$?
    trap '' INT TERM
    if [[ -n $BESIDE ]]; then
        ((status == 130)) || kill -INT "$BESIDE" 2>/dev/null || true # at Ctrl-C it has heard it, too
        wait "$BESIDE" || true
    fi
    if ((status)); then
        $PYTHON -m infra.local down || true
        printf '\ntest: FAILED (exit %s); the logs of the farm are in %s\n' "$status" "$FARM_DIR/logs"
    else
        $PYTHON -m infra.local down --remove
    fi
    exit "$status"
}

lot() {
    local name=$1
    shift
    printf '\ntest: pytest, %s\n' "$name"
    $PYTHON -m pytest --durations=10 "$@"
}

infra/check.sh
$PYTHON -m infra.local down --remove >/dev/null
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
$PYTHON -m infra.images
$PYTHON -m infra.local up --only infra
mkdir -p build

# A shell starts what runs beside it deaf to Ctrl-C.
env --default-signal=INT $PYTHON -m pytest --durations=10 "${WHOLE_FARMS[@]}" "$@" >"$LOG" 2>&1 &
BESIDE=$!
main=0 beside=0
lot 'one component at a time' tests --ignore=tests/unit "${WHOLE_FARMS[@]/#/--ignore=}" "${ALONE[@]/#/--ignore=}" "$@" || main=$?
printf '\ntest: pytest, whole farms (beside it, from %s)\n' "$LOG"
wait "$BESIDE" || beside=$?
BESIDE=""
cat "$LOG"
((main == 0)) || exit "$main"
((beside == 0)) || exit "$beside"
lot 'broker killed and flooded' "${ALONE[@]}" "$@"
