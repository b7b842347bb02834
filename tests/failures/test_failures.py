"""Every failure that labels.toml names is provoked and must be called what it is, with the frame where one is named."""

from collections import Counter

import pytest
import pytest_asyncio

from agent.scrub import TAIL_BYTES
from tests.failures import matrix, programs
from tests.failures.conftest import PROVOKE, Infirmary
from tests.failures.labels import Label, called, failures
from tests.failures.matrix import Outcome

FAILURES = failures()
QUICK = [
    *("truncated_blend", "missing_texture", "missing_sequence_frame", "crash_on_one_frame", "faces_beyond_memory"),
    *("hung_and_busy", "disk_full_at_output", "disk_full_at_unpacking", "image_gone", "engine_gone_at_start"),
    *("no_graphics_card", "no_more_processes", "host_out_of_memory", "killed_from_outside", "container_removed"),
    *("machine_slept", "agent_restarted", "refused_for_memory", "bundle_tampered", "store_away", "evil_bundle"),
    *("gpu_memory", "graphics_driver", "cancelled"),
]
SLOW = [name for name in FAILURES if name not in QUICK]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def quick(infirmary: Infirmary) -> dict[str, Outcome]:
    return await infirmary.outcomes(QUICK)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def slow(infirmary: Infirmary) -> dict[str, Outcome]:
    return await infirmary.outcomes(SLOW)


def test_there_are_labels_enough_and_each_is_provoked() -> None:
    failing = [failure for failure in FAILURES.values() if failure.label is not Label.NONE]
    assert len(failing) >= 30
    assert sum(bool(failure.asked) for failure in failing) >= 10
    assert set(PROVOKE) == set(FAILURES)
    assert set(QUICK) <= set(FAILURES)
    assert min(Counter(FAILURES[name].label for name in QUICK).values()) >= 1
    assert {FAILURES[name].label for name in QUICK} == set(Label)


@pytest.mark.parametrize("name", QUICK)
async def test_a_failure_is_called_what_it_is(quick: dict[str, Outcome], name: str) -> None:
    _is_right(quick[name])


@pytest.mark.long
@pytest.mark.parametrize("name", SLOW)
async def test_one_that_takes_longer_to_provoke_is_called_what_it_is(slow: dict[str, Outcome], name: str) -> None:
    _is_right(slow[name])


async def test_with_the_look_at_its_files_off_blender_calls_a_missing_picture_success(infirmary: Infirmary) -> None:
    """The control: what refuses it is our look, and the wrong pictures would be delivered."""
    ending = await infirmary.ending(
        "control", lambda ward: ward.fail("missing_sequence_frame", 1, 2, 3, program=programs.NO_LOOK)
    )
    assert called(ending) is Label.NONE
    assert "walk_0002.png' does not exist" in ending.log_tail


async def test_the_matrix_of_the_quick_ones_is_drawn(quick: dict[str, Outcome]) -> None:
    print(matrix.write(quick, "quick"))
    assert len(quick) == len(QUICK)


@pytest.mark.long
async def test_of_all_failures_nineteen_in_twenty_are_called_what_they_are(
    quick: dict[str, Outcome], slow: dict[str, Outcome]
) -> None:
    outcomes = {**quick, **slow}
    print(matrix.write(outcomes, "all"))
    assert len(outcomes) == len(FAILURES)
    assert matrix.share_right(outcomes) >= 0.95


def _is_right(outcome: Outcome) -> None:
    failure, ending = outcome.failure, outcome.ending
    assert outcome.called is failure.label, (failure.why, ending)
    assert failure.frame in (None, ending.frame), ending
    assert len(ending.log_tail.encode()) <= TAIL_BYTES
    assert ending.text or failure.label is Label.NONE
    assert "/tmp/" not in ending.text, "a path of this machine"
