#!/usr/bin/env bash
# The gate, and every test on real components in two throw-away farms side by side. Whatever happens, both are stopped again.
#   infra/test.sh [words for pytest]
#
# In the second farm runs what starts whole farms or agents, kills the broker, or attacks it, an agent or a machine.
# The first lot is named by what it leaves out, so that a new folder is always in one of them. The gate, with the unit tests, runs
# while images and farms are made and the first lot begins; the second lot begins when the gate has passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export FARM_DIR="${FARM_DIR:-$PWD/.farm-test}"
SECOND="$FARM_DIR-whole"
PYTHON=.venv/bin/python
WHOLE=(tests/farm tests/failures tests/integration/agent tests/faults tests/security/test_*.py)
BRIEF=(--tb=short --show-capture=no --durations=15 -rfE) # the services keep their own logs
GATE_LOG=build/test-gate.log
FIRST_LOG=build/test-components.log
SECOND_LOG=build/test-whole-farms.log
MOST_AGAIN=3
RUNNING=()

beside() { # LOG COMMAND...: in the background, as a group of processes of its own that only `stop` interrupts
    set -m
    "${@:2}" >"$1" 2>&1 &
    RUNNING+=($!)
    set +m
}

lot() { # NAME FARM WORDS...: some of the tests in one of the farms
    FARM_DIR=$2 exec $PYTHON -m pytest "${BRIEF[@]}" --junitxml="build/test-$1.xml" "${@:3}"
}

alone() { # what failed while two lots shared the machine is asked once more, if it is little; what fails again has failed
    mapfile -t failed < <($PYTHON -m infra.failed_tests build/test-components.xml build/test-whole-farms.xml)
    ((main < 2 && second < 2 && ${#failed[@]} > 0 && ${#failed[@]} <= MOST_AGAIN)) || exit 1
    printf '\ntest: FAILED BESIDE OTHERS, asked once more alone:\n'
    printf '  %s\n' "${failed[@]}"
    $PYTHON -m pytest "${BRIEF[@]}" --junitxml=build/test-again.xml "${failed[@]}" "$@" || exit 1
    printf '\ntest: passed alone, and should not have failed beside others:\n'
    printf '  %s\n' "${failed[@]}"
}

each() { # a command for each of the farms
    "$@" && FARM_DIR=$SECOND "$@"
}

end() { # GROUP: asked three times, for a test may take an interrupt for a cancellation of its own
    for _ in 1 2 3; do
        kill -INT -- "-$1" 2>/dev/null || break
        gone_within_a_minute "$1" && break
    done
    kill -KILL -- "-$1" 2>/dev/null || true
    wait "$1" || true
}

gone_within_a_minute() { # GROUP
    for _ in {1..60}; do
        kill -0 -- "-$1" 2>/dev/null || return 0
        sleep 1
    done
    return 1
}

stop() {
    local status=$?
    trap '' INT TERM
    for group in "${RUNNING[@]}"; do
        end "$group"
    done
    if ((status)); then
        each $PYTHON -m infra.local down || true
        printf '\ntest: FAILED (exit %s); the logs of the farms are in %s and %s\n' "$status" "$FARM_DIR/logs" "$SECOND/logs"
    else
        each $PYTHON -m infra.local down --remove
    fi
    exit "$status"
}

mkdir -p build
each $PYTHON -m infra.local down --remove >/dev/null
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

beside "$GATE_LOG" infra/check.sh
each $PYTHON -m infra.images
each $PYTHON -m infra.local up --only infra
beside "$FIRST_LOG" lot components "$FARM_DIR" tests --ignore=tests/unit "${WHOLE[@]/#/--ignore=}" "$@"
gate=0
wait "${RUNNING[0]}" || gate=$?
printf '\ntest: the gate (from %s)\n' "$GATE_LOG"
cat "$GATE_LOG"
((gate == 0)) || exit "$gate"

beside "$SECOND_LOG" lot whole-farms "$SECOND" "${WHOLE[@]}" "$@"
main=0 second=0
printf '\ntest: pytest, one component at a time (from %s)\n' "$FIRST_LOG"
tail -n +1 -f --pid="${RUNNING[1]}" "$FIRST_LOG"
wait "${RUNNING[1]}" || main=$?
printf '\ntest: pytest, agents, whole farms, killed and flooded (beside it, from %s)\n' "$SECOND_LOG"
wait "${RUNNING[2]}" || second=$?
cat "$SECOND_LOG"
RUNNING=()
if ((main || second)); then
    alone "$@"
fi
