"""Which assignments an agent takes, refuses, or passes over."""

from typing import Any

import pytest

from agent.domain.admission import Machine, PassedOver, Refused, Taken, admit
from contracts.values import Acceptance, Kind, Picture
from tests.unit.agent.builders import IMAGE, a_grant, an_assignment


def a_machine(**changes: Any) -> Machine:
    fields: dict[str, Any] = {
        "agent": "agent-1",
        "images": (IMAGE,),
        "memory_bytes": 4_000_000_000,
        "free_disk_bytes": 100 << 30,
        "slots": 1,
        "in_hand": 0,
        "known": frozenset(),
    }
    return Machine(**{**fields, **changes})


def test_a_fitting_assignment_is_taken() -> None:
    assert admit(an_assignment(), a_machine(), 60.0) == Taken()


def test_one_more_than_there_are_slots_is_taken_to_wait_for_its_turn() -> None:
    assert admit(an_assignment(), a_machine(in_hand=1), 60.0) == Taken()


def test_an_assignment_that_comes_twice_is_passed_over() -> None:
    assert isinstance(admit(an_assignment(), a_machine(known=frozenset({"attempt-1"})), 60.0), PassedOver)


def test_an_assignment_whose_grant_has_ended_is_passed_over() -> None:
    assert isinstance(admit(an_assignment(), a_machine(), 0.0), PassedOver)


@pytest.mark.parametrize(
    ("changes", "machine", "reason"),
    [
        ({"image": "sha256:" + "f" * 64}, {}, "image"),
        ({"grant": a_grant(agent="agent-2")}, {}, "another agent"),
        ({"memory_bytes": 8_000_000_000}, {}, "memory"),
        ({"bundle_bytes": 50 << 30}, {}, "disk"),
        ({}, {"in_hand": 2}, "slot"),
        ({}, {"in_hand": 25, "named": 64, "slots": 40}, "slot"),
        ({}, {"open": False}, "shutting down"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(changes: Any, machine: Any, reason: str) -> None:
    answer = admit(an_assignment(**changes), a_machine(**machine), 60.0)
    assert isinstance(answer, Refused)
    assert reason in answer.text


LARGE = Picture(width=3840, height=2160, bits=16)


@pytest.mark.parametrize(
    ("picture", "kind", "frames", "gigabytes"),
    [
        (LARGE, Kind.RENDER, 60, 3.99),
        (LARGE, Kind.RENDER, 1, 1.08),
        (LARGE, Kind.PROBE, 60, 1.08),
        (Picture(width=192, height=108), Kind.RENDER, 200, 1.08),
        (Picture(width=1920, height=1080), Kind.RENDER, 200, 1.67),
    ],
    ids=["large ones", "a large one", "probes, which are thrown away", "tiny ones", "usual ones"],
)
def test_room_is_wanted_for_all_pictures_of_a_chunk_and_not_for_what_the_grant_bounds(
    picture: Picture, kind: Kind, frames: int, gigabytes: float
) -> None:
    grant = a_grant(*range(1, frames + 1), kind=kind, max_bytes=(64 << 20) + 8 * picture.width * picture.height)
    assignment = an_assignment(grant=grant, picture=picture, bundle_bytes=1_000_000)
    assert admit(assignment, a_machine(free_disk_bytes=round(gigabytes * 1e9)), 60.0) == Taken()
    refused = admit(assignment, a_machine(free_disk_bytes=round((gigabytes - 0.01) * 1e9)), 60.0)
    assert isinstance(refused, Refused)
    assert "of disk" in refused.text


RULES = Acceptance(minimum_price=500_000, engines=("CYCLES",), memory_bytes=2_000_000_000, renters=("acct-1",))
WANTED: dict[str, Any] = {"price": 500_000, "engine": "CYCLES", "memory_bytes": 2_000_000_000, "renter": "acct-1"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": 499_999}, "wants 0.5 credits per WU"),
        ({"price": None}, "wants 0.5 credits per WU"),
        ({"engine": "BLENDER_WORKBENCH"}, "does not take the engine BLENDER_WORKBENCH"),
        ({"engine": ""}, "does not take the engine (unknown)"),
        ({"memory_bytes": 2_000_000_001}, "takes scenes of at most 2.0 GB"),
        ({"renter": "acct-2"}, "certain renters only"),
        ({"renter": None}, "certain renters only"),
    ],
)
def test_what_is_against_the_lenders_rules_is_refused_and_without_rules_it_is_taken(changes: dict[str, Any], words: str) -> None:
    assert admit(an_assignment(**WANTED), a_machine(accepts=RULES), 60.0) == Taken()
    assignment = an_assignment(**{**WANTED, **changes})
    answer = admit(assignment, a_machine(accepts=RULES), 60.0)
    assert isinstance(answer, Refused)
    assert words in answer.text
    assert admit(assignment, a_machine(), 60.0) == Taken()


def test_a_lender_who_chooses_by_hand_need_not_believe_that_he_was_asked() -> None:
    by_hand = a_machine(accepts=Acceptance(by_hand=True))
    refused = admit(an_assignment(), by_hand, 60.0)
    assert isinstance(refused, Refused)
    assert "chooses by hand" in refused.text
    assert admit(an_assignment(chosen=True), by_hand, 60.0) == Taken()
    assert admit(an_assignment(), a_machine(), 60.0) == Taken()


def test_an_inspection_has_no_engine_yet() -> None:
    assignment = an_assignment(kind=Kind.INSPECT, **{**WANTED, "engine": ""})
    assert admit(assignment, a_machine(accepts=RULES), 60.0) == Taken()


def test_while_its_lender_has_the_machine_nothing_is_taken() -> None:
    assert admit(an_assignment(), a_machine(resting=True), 60.0) == Refused("paused by its lender")
