"""An attempt whose lender has his machine back for a while."""

from agent.domain import signals
from agent.domain.attempt import Phase
from contracts.events import ChunkCompleted, ChunkFailed, ChunkReleased, Fault, FramesRendered, Release
from tests.unit.agent.builders import Life, an_assignment


def test_a_frozen_container_goes_on_where_it_stood() -> None:
    life = Life.rendering().renders(1)
    life.on(signals.Freeze())
    assert life.last == (signals.FreezeContainer(),)
    assert life.on(signals.Thaw(), after=200.0).last[0] == signals.ThawContainer()
    life.renders(2, 3).exits().delivers(1, 2, 3)
    assert life.told(ChunkCompleted)
    assert not life.wants(signals.KillContainer)


def test_frozen_time_is_neither_a_frames_time_nor_silence_and_the_rest_still_counts() -> None:
    life = Life.rendering().on(signals.Freeze(), after=100.0)
    life.on(*[signals.Tick()] * 3, after=1_000.0)
    life.on(signals.Thaw(), signals.Tick(), after=1_000.0)
    assert not life.wants(signals.KillContainer)
    life.on(signals.Progressed("half"), signals.Tick(), after=19.0)
    assert not life.wants(signals.KillContainer)
    life.on(signals.Tick(), after=2.0)
    assert life.wants(signals.KillContainer)
    assert life.exits(137).delivers().attempt.ending is not None
    assert life.told(ChunkFailed)[0].fault is Fault.TIME


def test_without_freezing_the_same_time_ends_the_attempt() -> None:
    assert Life.rendering().on(signals.Tick(), after=1_100.0).wants(signals.KillContainer)


def test_a_samples_budget_waits_too() -> None:
    life = Life.rendering(an_assignment(1, budget_seconds=30)).on(signals.Freeze(), after=20.0)
    life.on(signals.Thaw(), signals.Tick(), after=100.0)
    assert not life.wants(signals.KillContainer)
    assert life.on(signals.Tick(), after=11.0).wants(signals.KillContainer)


def test_a_bundle_that_comes_meanwhile_waits_and_is_not_fetched_again() -> None:
    life = Life().on(signals.Freeze(), signals.BundleFetched())
    assert not life.wants(signals.StartContainer)
    life.on(signals.Thaw(), after=60.0)
    assert len(life.wants(signals.StartContainer)) == 1
    assert len(life.wants(signals.FetchBundle)) == 1
    assert life.attempt.phase is Phase.RENDERING


def test_a_container_that_was_being_started_is_frozen_as_soon_as_it_is_there() -> None:
    life = Life().on(signals.BundleFetched(), signals.Freeze())
    life.on(signals.ContainerStarted(), after=5.0)
    assert life.last == (signals.FreezeContainer(),)
    life.on(signals.Thaw(), after=50.0)
    assert life.attempt.container_since == life.now
    assert life.attempt.frame_since == life.now


def test_what_is_given_back_is_an_interruption_and_finished_frames_are_delivered_first() -> None:
    life = Life.rendering().on(signals.Freeze()).renders(1)
    life.on(signals.GiveBack("paused by its lender"), after=300.0)
    assert life.last[0] == signals.KillContainer()
    life.exits(137)
    assert not life.told(ChunkReleased)
    life.delivers(1)
    released = life.told(ChunkReleased)[0]
    assert (released.reason, released.text) == (Release.STOPPED, "paused by its lender")
    assert {frame for told in life.frames_told(FramesRendered) for frame in told} == {1}
    assert life.wants(signals.Freed) == [signals.Freed(ready=True)]


def test_while_it_fetches_it_is_given_back_without_a_container() -> None:
    life = Life().on(signals.Freeze(), signals.BundleFetched(), signals.GiveBack("paused by its lender"))
    assert life.told(ChunkReleased)
    assert life.wants(signals.DropBundle)
    assert not life.on(signals.Thaw()).wants(signals.StartContainer)


def test_a_frozen_attempt_can_be_cancelled_and_the_end_of_its_grant_does_not_wait() -> None:
    assert Life.rendering().on(signals.Freeze(), signals.Withdrawn("cancelled")).wants(signals.KillContainer)
    assert Life.rendering().on(signals.Freeze()).on(signals.Tick(), after=10_000.0).wants(signals.KillContainer)


def test_the_pulse_says_that_it_is_paused_and_not_why() -> None:
    life = Life.rendering().on(signals.Progressed("sample 3"), signals.Freeze())
    assert life.attempt.told(life.now).text == "paused by its lender"
    life.on(signals.Thaw())
    assert life.attempt.told(life.now).text == "sample 3"


def test_freezing_twice_and_thawing_what_is_not_frozen_does_nothing() -> None:
    life = Life.rendering().on(signals.Thaw())
    assert life.last == ()
    life.on(signals.Freeze())
    assert life.on(signals.Freeze(), after=5.0).last == ()
    assert life.attempt.frozen_since == life.now - 5.0
