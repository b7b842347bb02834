"""What becomes of one attempt, whatever happens to it and in whatever order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain import machine, signals
from agent.domain.attempt import IllegalMove, Phase, Standing, failed, move, released
from contracts.events import (
    ChunkCompleted,
    ChunkFailed,
    ChunkReleased,
    Fault,
    FramesCompleted,
    FramesRendered,
    Release,
)
from contracts.values import Kind, ranges
from tests.unit.agent.builders import Life, a_grant, a_picture, an_assignment, an_upload


def test_a_chunk_goes_from_its_bundle_to_its_last_frame() -> None:
    life = Life.rendering()
    assert life.wants(signals.FetchBundle)
    assert life.wants(signals.StartContainer)
    life.renders(1, 2, 3)
    life.exits(0)
    assert not life.told(ChunkCompleted)
    life.delivers(1, 2, 3)
    assert life.attempt.phase is Phase.ENDED
    assert life.told()[-1] == ChunkCompleted(job="job-1", chunk="chunk-1", attempt="attempt-1")
    assert life.wants(signals.Freed) == [signals.Freed(ready=False)]


def test_a_frame_is_told_as_soon_as_it_is_rendered() -> None:
    assert Life.rendering().renders(1).frames_told(FramesRendered) == [[1]]


def test_frames_close_together_are_told_together() -> None:
    life = Life.rendering(an_assignment(1, 2, 3, 4, 5))
    life.renders(1, 2, 3, seconds=0.1)
    assert life.frames_told(FramesRendered) == [[1]]
    life.on(signals.Tick(), after=1.0)
    assert life.frames_told(FramesRendered) == [[1], [2, 3]]


def test_the_last_frame_waits_for_nobody() -> None:
    life = Life.rendering(an_assignment(1, 2)).renders(1, 2, seconds=0.1)
    assert life.frames_told(FramesRendered) == [[1], [2]]


def test_an_upload_goes_on_while_the_next_frame_renders() -> None:
    life = Life.rendering().renders(1).delivers(1)
    assert life.attempt.phase is Phase.RENDERING
    assert life.frames_told(FramesCompleted) == [[1]]


def test_no_more_than_64_frames_are_told_in_one_event() -> None:
    life = Life.rendering(an_assignment(*range(1, 131)))
    life.renders(*range(1, 131), seconds=0.0)
    life.exits(0)
    assert sorted(frame for group in life.frames_told(FramesRendered) for frame in group) == list(range(1, 131))
    assert max(map(len, life.frames_told(FramesRendered))) <= 64


def test_a_url_that_never_comes_is_asked_for_again() -> None:
    life = Life.rendering(an_assignment(1)).renders(1).exits(0)
    life.on(signals.Tick(), after=5.0)
    assert life.frames_told(FramesRendered) == [[1]]
    life.on(signals.Tick(), after=6.0)
    assert life.frames_told(FramesRendered) == [[1], [1]]


def test_a_url_that_has_run_out_is_asked_for_again_and_the_frame_is_not_rendered_again() -> None:
    life = Life.rendering(an_assignment(1)).renders(1).exits(0)
    life.on(signals.UploadsCame((an_upload(1),)), signals.UploadMissed(1))
    life.on(signals.Tick(), after=2.0)
    assert life.frames_told(FramesRendered) == [[1], [1]]
    assert len(life.wants(signals.StartContainer)) == 1


def test_a_url_granted_twice_is_used_once() -> None:
    life = Life.rendering(an_assignment(1)).renders(1)
    life.on(signals.UploadsCame((an_upload(1),)), signals.UploadsCame((an_upload(1),)))
    assert len(life.wants(signals.Upload)) == 1


def test_a_url_for_another_length_is_not_used() -> None:
    life = Life.rendering(an_assignment(1)).renders(1).on(signals.UploadsCame((an_upload(1, size=99),)))
    assert not life.wants(signals.Upload)


def test_a_frame_that_the_store_has_lost_is_sent_again_even_after_the_end() -> None:
    life = Life.rendering(an_assignment(1)).renders(1).exits(0).delivers(1)
    assert life.attempt.phase is Phase.ENDED
    life.on(signals.UploadsCame((an_upload(1),)), signals.Uploaded(1), after=30.0)
    assert len(life.wants(signals.Upload)) == 2
    assert life.frames_told(FramesCompleted) == [[1], [1]]


def test_a_cancelled_attempt_kills_its_container_and_delivers_what_is_finished() -> None:
    life = Life.rendering().renders(1)
    life.on(signals.Withdrawn("cancelled"))
    assert life.wants(signals.KillContainer)
    life.exits(137)
    assert life.attempt.phase is Phase.ENDED
    assert not life.attempt.in_hand()
    life.delivers(1)
    assert life.frames_told(FramesCompleted) == [[1]]
    assert not life.told(ChunkFailed) + life.told(ChunkReleased) + life.told(ChunkCompleted)
    assert life.wants(signals.Freed) == [signals.Freed(ready=True)]


def test_an_attempt_cancelled_while_it_fetches_stops_fetching() -> None:
    life = Life().on(signals.Withdrawn("cancelled"))
    assert life.wants(signals.DropBundle)
    assert life.wants(signals.Freed) == [signals.Freed(ready=True)]
    life.on(signals.BundleFetched())
    assert not life.wants(signals.StartContainer)


def test_a_container_that_starts_after_the_cancel_is_killed() -> None:
    life = Life().on(signals.BundleFetched(), signals.Withdrawn("cancelled"))
    killed = len(life.wants(signals.KillContainer))
    life.on(signals.ContainerStarted())
    assert len(life.wants(signals.KillContainer)) == killed + 1


def test_a_failed_attempt_delivers_what_is_finished_before_it_says_so() -> None:
    life = Life.rendering().renders(1)
    life.on(signals.Complained("cannot_render", 2, "no camera at frame 2"))
    life.exits(4)
    assert not life.told(ChunkFailed)
    life.delivers(1)
    (said,) = life.told(ChunkFailed)
    assert (said.fault, said.frame, said.log_tail) == (Fault.SCENE, 2, "last words")
    assert life.wants(signals.Freed) == [signals.Freed(ready=True)]


def test_a_failed_attempt_whose_frames_cannot_be_delivered_says_so_all_the_same() -> None:
    life = Life.rendering().renders(1).exits(139)
    life.on(signals.Tick(), after=31.0)
    assert [said.fault for said in life.told(ChunkFailed)] == [Fault.SCENE]
    life.delivers(1)
    assert life.frames_told(FramesCompleted) == [[1]]


def test_a_bundle_that_cannot_be_had_ends_the_attempt() -> None:
    life = Life().on(signals.BundleLost(released(Release.NETWORK, "in time")))
    assert [said.reason for said in life.told(ChunkReleased)] == [Release.NETWORK]


def test_an_agent_that_stops_gives_back_at_once_and_kills_its_container() -> None:
    life = Life.rendering().renders(1)
    life.on(signals.Stopping())
    assert [said.reason for said in life.told(ChunkReleased)] == [Release.STOPPED]
    assert life.wants(signals.KillContainer)
    assert life.attempt.held(1) is not None


def test_an_agent_that_stops_while_its_last_frames_are_on_their_way_does_not_call_the_chunk_complete() -> None:
    life = Life.rendering().renders(1, 2, 3).exits(0).delivers(1).on(signals.Tick(), after=2.0)
    assert life.attempt.phase is Phase.DELIVERING
    life.on(signals.Stopping())
    assert not life.told(ChunkCompleted)
    (said,) = life.told(ChunkReleased)
    assert (said.reason, said.delivered) == (Release.STOPPED, ranges((1,)))


def test_when_the_grant_ends_everything_ends() -> None:
    life = Life(an_assignment(1), ends_at=200.0)
    life.on(signals.BundleFetched(), signals.ContainerStarted(), signals.SceneOpened())
    life.on(signals.Tick(), after=100.0)
    assert life.wants(signals.KillContainer)
    life.exits(137).on(signals.Tick())
    assert life.wants(signals.Forget)


def test_pictures_linger_after_the_end_and_are_forgotten() -> None:
    life = Life.rendering(an_assignment(1)).renders(1).exits(0).delivers(1)
    life.on(signals.Tick(), after=599.0)
    assert not life.wants(signals.Forget)
    life.on(signals.Tick(), after=2.0)
    assert life.wants(signals.Forget)


def test_the_pulse_tells_the_frame_under_way_and_since_when() -> None:
    life = Life.rendering().renders(1)
    told = life.attempt.told(life.now + 7.0)
    assert (told.frame, told.frame_started_seconds_ago) == (2, 7.0)


def test_what_a_crash_left_is_told_again_and_then_given_back() -> None:
    frames = [(a_picture(1), Standing.UPLOADING), (a_picture(2), Standing.COMPLETED)]
    life = Life.of(machine.take_up(an_assignment(), frames, ended=False, now=50.0, ends_at=500.0), now=50.0)
    life.on(signals.Tick())
    assert life.frames_told(FramesRendered) == [[1]]
    assert life.attempt.in_hand()
    life.delivers(1)
    assert life.frames_told(FramesCompleted) == [[1]]
    assert [said.reason for said in life.told(ChunkReleased)] == [Release.STOPPED]


def test_a_crash_before_the_last_word_completes_a_chunk_that_was_complete() -> None:
    frames = [(a_picture(1), Standing.COMPLETED)]
    life = Life.of(machine.take_up(an_assignment(1), frames, ended=False, now=50.0, ends_at=500.0), now=50.0)
    assert [type(event) for event in life.on(signals.Tick()).told()] == [ChunkCompleted]


def test_an_inspection_that_a_restart_interrupted_is_given_back_and_one_whose_report_was_told_is_complete() -> None:
    assignment = an_assignment(grant=a_grant(kind=Kind.INSPECT, frames=()))
    for surveyed, said in ((False, ChunkReleased), (True, ChunkCompleted)):
        attempt = machine.take_up(assignment, (), ended=False, now=50.0, ends_at=500.0, surveyed=surveyed)
        assert [type(event) for event in Life.of(attempt, now=50.0).on(signals.Tick()).told()] == [said]


def test_a_move_that_the_table_lacks_raises_with_the_story() -> None:
    life = Life.rendering()
    with pytest.raises(IllegalMove, match=r"fetching -> rendering.*rendering -> fetching"):
        move(life.attempt, Phase.FETCHING, "by mistake")


_FRAMES = (1, 2, 3)
_ANYTHING = st.one_of(
    st.sampled_from(
        [
            signals.BundleFetched(),
            signals.BundleLost(released(Release.NETWORK, "lost")),
            signals.ContainerStarted(),
            signals.SceneOpened(),
            signals.Progressed("Sample 1/8"),
            signals.CpuSeen(1_000_000),
            signals.ContainerMisbehaved(failed(Fault.MACHINE, "nonsense")),
            signals.Complained("cannot_render", 2, "no"),
            signals.ContainerExited(0, False, ""),
            signals.ContainerExited(4, False, ""),
            signals.ContainerExited(137, True, ""),
            signals.ContainerLost(released(Release.STOPPED, "gone")),
            signals.Withdrawn("void"),
            signals.Stopping(),
            signals.Freeze(),
            signals.Thaw(),
            signals.GiveBack("paused by its lender"),
            signals.Tick(),
        ]
    ),
    st.sampled_from(_FRAMES).map(lambda frame: signals.FrameTaken(a_picture(frame))),
    st.sampled_from(_FRAMES).map(lambda frame: signals.UploadsCame((an_upload(frame),))),
    st.sampled_from(_FRAMES).map(signals.Uploaded),
    st.sampled_from(_FRAMES).map(signals.UploadMissed),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_ANYTHING, st.floats(0.0, 200.0)), max_size=40))
def test_whatever_happens_in_whatever_order_the_promises_hold(story: list[tuple[signals.Input, float]]) -> None:
    """One last word at most; the slot freed once and with it; one container at most; every completed frame was uploaded and is
    told; a chunk is complete when all its frames are told; after the end nothing is in hand."""
    life = Life(an_assignment(*_FRAMES, grant=a_grant(*_FRAMES)))
    for happened, after in story:
        life.on(happened, after=after)
        last_words = life.told(ChunkCompleted) + life.told(ChunkFailed) + life.told(ChunkReleased)
        freed = life.wants(signals.Freed)
        assert len(last_words) <= 1
        assert len(life.wants(signals.StartContainer)) <= 1
        assert life.attempt.frozen_since is None or life.attempt.phase in (Phase.FETCHING, Phase.RENDERING, Phase.ENDED)
        assert len(life.wants(signals.ThawContainer)) <= len(life.wants(signals.FreezeContainer))
        assert len(freed) == (1 if life.attempt.phase is Phase.ENDED else 0)
        assert life.attempt.phase is not Phase.ENDED or not life.attempt.in_hand()
        told = {frame for group in life.frames_told(FramesCompleted) for frame in group}
        assert {held.frame for held in life.attempt.frames if held.standing is Standing.COMPLETED} <= told
        asked = {action.upload.frame for action in life.wants(signals.Upload)}
        assert told <= asked
        if life.told(ChunkCompleted):
            assert told == {*_FRAMES}
