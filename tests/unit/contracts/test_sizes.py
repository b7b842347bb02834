"""Events that carry lists of frames, each as large as its sender can make it: a message holds it.

Every text is full of letters that JSON writes in six bytes, every number has its most digits, and no list of frames can take more
room, however its parts lie.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.domain.survey import read_report
from contracts.changes import Change, Support
from contracts.events import (
    Action,
    AgentCharge,
    Event,
    FramesSealed,
    JobCharged,
    JobControlled,
    JobEstimated,
    JobInspected,
    JobSettled,
    JobSubmitted,
    SceneFacts,
    Wishes,
)
from contracts.topology import MAX_MESSAGE_BYTES
from contracts.values import (
    LAST_FRAME,
    MICRO,
    Audience,
    Band,
    Curve,
    Feasibility,
    FrameRange,
    Knot,
    Limits,
    Outlook,
    PriceLine,
    RenderSettings,
)
from services.intake.domain.framelists import MOST_PARTS
from services.scheduler.domain.inspection import judged
from tests.unit.agent.builders import a_grant
from tests.unit.agent.test_claims import a_file, a_report

RANGE_BYTES = 50
LIST = (FrameRange(first=-LAST_FRAME, last=-LAST_FRAME, step=LAST_FRAME),) * MOST_PARTS
ID, MOST = "i" * 64, 10**18
WHO: dict[str, Any] = {"job": ID, "account": ID}
AT = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
BAND = Band(low=MOST, expected=MOST, high=MOST)
OUTLOOK = Outlook(feasibility=Feasibility.IMPOSSIBLE, deadline=AT, earliest=AT, right_of_way=False)
CHARGE = AgentCharge(agent=ID, owner=ID, frames=MICRO, micro_wu=MOST, earned_micro=MOST)
LINES = (PriceLine(code="c" * 40, text="t" * 200, amount_micro=MOST),) * 10


def text(letters: int) -> str:
    return "\1" * letters


def size(event: Event) -> int:
    return len(event.model_dump_json(exclude_none=True).encode())


def a_submission() -> JobSubmitted:
    settings = RenderSettings(
        width=32_768, height=32_768, percentage=100, samples=MICRO, camera=text(200), scene=text(200), changes=tuple(Change)
    )
    return JobSubmitted(
        **WHO, name=text(200), bundle="0" * 64, bundle_bytes=1 << 44, blend=text(1_024), frames=LIST, settings=settings,
        price_per_wu_micro=10**12, limits=Limits(max_cost=MOST, deadline=AT), allows=tuple(Audience), lenders=(ID,) * 100,
    )  # fmt: skip


def an_estimate() -> JobEstimated:
    curve = Curve(knots=(Knot(frame=-LAST_FRAME, micro_wu=MOST),) * 1_000)
    return JobEstimated(
        **WHO, version=1_000, curve=curve, frames=LIST, micro_wu=BAND, seconds=BAND, price_per_wu_micro=10**12, outlook=OUTLOOK,
        reason=text(2_000),
    )  # fmt: skip


def a_control() -> JobControlled:
    wishes = Wishes(price_per_wu_micro=10**12, deadline=AT, start_at=AT, priority=-100, left_out=LIST, retries=10**9)
    return JobControlled(**WHO, revision=10**9, action=Action.RESUME, by=text(200), wishes=wishes)


def worst_facts(bad: str) -> SceneFacts:
    report = a_report(
        **{name: [bad] * 200 for name in ("scenes", "missing_blocks", "addons", "addon_data")},
        gaps=[{"name": bad, "frames": [[-LAST_FRAME, -LAST_FRAME]] * 100}] * 200,
        files=[a_file(path=bad, exists=False, used=used) for used in (True, False) for _ in range(200)],
        file_outputs=[{"node": bad, "path": bad}] * 200,
        unbaked_simulations=[{"kind": bad, "object": bad}] * 200,
        scripted_drivers=[{"owner": bad, "expression": bad}] * 200,
        shots=[[-LAST_FRAME, -LAST_FRAME, 1_000]] * 200,
    )
    facts = read_report(a_grant(), json.dumps(report).encode()).facts
    assert facts is not None
    return facts


def an_inspection(bad: str) -> JobInspected:
    facts = worst_facts(bad * 300)
    findings = judged(facts, (FrameRange(first=1, last=10),), RenderSettings(), 1 << 33).findings
    assert len(findings) > 5
    return JobInspected(**WHO, accepted=False, findings=findings, facts=facts, frames=LIST, support=Support.UNSUPPORTED)


def a_settlement(agents: int) -> JobSettled:
    money = {"held_micro": MOST, "charged_micro": MOST, "released_micro": MOST}
    return JobSettled(**WHO, **money, outcome="cancelled", lines=LINES, frames=LIST, agents=(CHARGE,) * agents)


def a_charge(agents: int) -> JobCharged:
    return JobCharged(**WHO, revision=10**9, charged_micro=MOST, frames=MICRO, agents=(CHARGE,) * agents)


def test_no_part_of_a_list_takes_more_room_and_all_that_a_job_may_have_take_less_than_half_of_a_message() -> None:
    assert len(LIST[0].model_dump_json() + ",") == RANGE_BYTES
    assert MOST_PARTS * RANGE_BYTES < MAX_MESSAGE_BYTES / 2


@pytest.mark.parametrize(
    "event",
    [
        a_submission(),
        *(an_inspection(bad) for bad in ("\1", "a", "\U0001f600")),
        an_estimate(),
        a_control(),
        FramesSealed(**WHO, outcome="cancelled", frames=LIST, count=MICRO),
        a_settlement(agents=500),
        a_charge(agents=1_000),
    ],
    ids=lambda event: type(event).__name__,
)
def test_the_largest_of_each_is_one_that_the_broker_lets_through(event: Event) -> None:
    assert MAX_MESSAGE_BYTES / 4 < size(event) < MAX_MESSAGE_BYTES
