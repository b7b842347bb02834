"""A scene that cannot be rendered costs few lenders their time; lenders who lie about it cannot stop a rival's job for long."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import ChunkAssigned, ChunkFailed, Fault, FramesStored, JobFailed, StoredFrame
from contracts.values import Kind, frames
from services.scheduler.domain import doubts
from services.scheduler.domain.chunk import Failure
from services.scheduler.domain.doubts import NONE, Doubts
from services.scheduler.domain.matching import Board
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import IMAGE, NOW, POLICY, a_chunk, a_hand, a_holder, a_sampled_job, an_agent, span
from tests.unit.scheduler.office import Office
from tests.unit.scheduler.test_sampled import put

FAILED = (Failure("eves", NOW, Fault.SCENE),)
CREDULOUS = Policy(doubters=10**6)
"""The control: whatever lenders report, others are given the job."""


def test_two_owners_keep_others_from_a_job_and_one_with_many_machines_does_not() -> None:
    alone = NONE
    for number in range(5):
        alone = doubts.raised(alone, "eve", f"chunk-{number}")
    assert not doubts.holds(alone, POLICY.doubters)
    assert doubts.holds(doubts.raised(alone, "bob", "chunk-0"), POLICY.doubters)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), max_size=40))
def test_an_owner_who_was_wrong_once_is_not_heard_again(story: list[tuple[str, str, bool]]) -> None:
    state, wrong = Doubts(), set[str]()
    for owner, chunk, is_refuted in story:
        if is_refuted:
            wrong |= {one.owner for one in state.open if one.chunk == chunk}
            state = doubts.refuted(state, chunk)
        else:
            before, state = state, doubts.raised(state, owner, chunk)
            assert owner not in wrong or state == before
        assert set(state.refuted) == wrong


def test_while_the_house_looks_lenders_get_nothing_of_the_job_and_its_page_says_why() -> None:
    ann, house = an_agent("ann"), an_agent("house", house=True)
    job = a_sampled_job(doubts=doubts.raised(doubts.raised(NONE, "eve", "a"), "bob", "b"))
    board = Board(NOW, POLICY, IMAGE, {"job": job}, (ann, house), [])
    assert board.offers((ann,)) == []
    assert board.may_have(house, job, a_chunk(house=True))
    assert "house agent to look at a fault in the scene" in board.waits()["job"]
    assert Board(NOW, CREDULOUS, IMAGE, {"job": job}, (ann, house), []).offers((ann,)), "control"


# --- a whole farm, frame by frame, through the real handlers


class Scene:
    """A job whose every frame makes Blender fail, and lenders who come one after the other."""

    def __init__(self, lenders: int, house: bool = True, policy: Policy = POLICY) -> None:
        self.office = Office(policy=policy)
        self.coming = [an_agent(f"a{at:03d}") for at in range(lenders)]
        self.there = [an_agent("house", house=True)] if house else []
        self.failed = 0
        """Attempts of lenders."""
        self._read = 0

    async def run(self, minutes: int = 20) -> None:
        self._put(self.office.jobs, "job", a_sampled_job(6000, state=JobState.QUEUED))
        for agent in self.there:
            self._put(self.office.agents, agent.agent, agent)
        for _ in range(minutes * 4):
            if self.coming:
                self.there.append(self.coming.pop())
                self._put(self.office.agents, self.there[-1].agent, replace(self.there[-1], seen_at=self.office.clock.at))
            await self.office.desk.dispatch.look()
            await self._work()
            self.office.clock.pass_by(15)
            await self.office.agents.note_heard({agent.agent: self.office.clock.at for agent in self.there})
            if self.office.job().state is JobState.FAILED:
                return

    async def _work(self) -> None:
        told, self._read = self.office.told[self._read :], len(self.office.told)
        for event in [one for one in told if isinstance(one, ChunkAssigned)]:
            grant = event.grant
            self.failed += grant.agent != "house"
            ids: dict[str, Any] = {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt}
            tail: dict[str, Any] = {"text": "no camera", "log_tail": "Error: no camera", "hint": "Add one."}
            await self.office.hear(ChunkFailed(**ids, fault=Fault.SCENE, frame=next(frames(grant.frames)), **tail), grant.agent)

    def _put(self, kept: Any, id: str, state: Any) -> None:
        kept.store.states[id] = (1, state)


@pytest.mark.parametrize("lenders", [1, 2, 40])
async def test_a_broken_scene_ends_the_job_with_the_logs_tail_and_a_hint_after_three_lenders_time_at_most(lenders: int) -> None:
    scene = Scene(lenders)
    await scene.run()
    (failed,) = [one for one in scene.office.told if isinstance(one, JobFailed)]
    assert (failed.code, failed.log_tail, failed.hint) == ("scene_fault", "Error: no camera", "Add one.")
    assert 1 <= scene.failed <= 3


async def test_with_the_house_away_a_broken_scene_takes_two_owners_time_and_then_waits_for_it() -> None:
    """Control: without the rule every lender who comes loses his."""
    found = []
    for policy in (POLICY, CREDULOUS):
        scene = Scene(40, house=False, policy=policy)
        await scene.run()
        found.append(scene.failed)
    assert found[0] <= 3 < 30 < found[1]


async def test_what_lenders_lied_about_is_refuted_once_the_frames_are_there() -> None:
    office = Office()
    chunk = a_chunk(1, state=ChunkState.RENDERING, house=True, holder=a_holder("h", "house"), failed_on=FAILED)
    job = a_sampled_job(5, state=JobState.RENDERING, uncut=span(2, 5), doubts=doubts.raised(NONE, "eve", "chunk"))
    await put(office, job, chunk, an_agent("house", house=True, hands=(a_hand("h", heard=True),)))
    frame = StoredFrame.model_construct(
        frame=1, file_sha256="c" * 64, pixel_sha256="c" * 64, bytes=1, cpu_micros=1, seconds=0.0, key="k"
    )
    ids: dict[str, Any] = {"job": "job", "chunk": "chunk", "attempt": "h", "agent": "house", "version": 1, "generation": 0}
    await office.hear(FramesStored.model_construct(**ids, kind=Kind.RENDER, frames=(frame,)), "storage")
    assert office.job().doubts == Doubts((), ("eve",))
    assert not doubts.is_heard(office.job().doubts, "eve")


async def test_a_doubt_that_a_crash_left_open_is_closed_by_the_sweep() -> None:
    office = Office()
    job = a_sampled_job(5, state=JobState.RENDERING, doubts=doubts.raised(NONE, "eve", "chunk"))
    await put(office, job, a_chunk(1, state=ChunkState.COMPLETED), an_agent())
    await office.sweep()
    assert office.job().doubts.open == ()
