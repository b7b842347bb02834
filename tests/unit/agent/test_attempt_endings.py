"""What ends an attempt's container, and what the scheduler is told about it."""

import pytest

from agent.domain import signals
from agent.domain.attempt import failed, released
from agent.domain.evidence import Room
from contracts.events import ChunkCompleted, ChunkFailed, ChunkReleased, Fault, InspectionReported, ProbeMeasured, Release
from contracts.values import Kind
from tests.unit.agent.builders import Life, a_picture, an_assignment


@pytest.mark.parametrize(
    ("code", "out_of_memory", "fault"),
    [
        (1, False, Fault.MACHINE),
        (2, False, Fault.MACHINE),
        (3, False, Fault.SCENE),
        (4, False, Fault.SCENE),
        (5, False, Fault.MACHINE),
        (125, False, Fault.MACHINE),
        (127, False, Fault.MACHINE),
        (134, False, Fault.SCENE),
        (137, True, Fault.MEMORY),
        (139, False, Fault.SCENE),
        (0, False, Fault.MACHINE),
    ],
)
def test_an_exit_code_says_whose_fault_it_is(code: int, out_of_memory: bool, fault: Fault) -> None:
    (said,) = Life.rendering().exits(code, out_of_memory).told(ChunkFailed)
    assert said.fault is fault


@pytest.mark.parametrize("code", [137, 143])
def test_a_container_that_somebody_else_stopped_is_nobodys_fault(code: int) -> None:
    (said,) = Life.rendering().exits(code).told(ChunkReleased)
    assert said.reason is Release.STOPPED


def test_a_lost_container_ends_the_attempt_as_docker_says() -> None:
    life = Life.rendering().on(signals.ContainerLost(released(Release.STOPPED, "docker is away")))
    assert [said.reason for said in life.told(ChunkReleased)] == [Release.STOPPED]


def test_a_frame_that_takes_too_long_is_stopped() -> None:
    life = Life.rendering().renders(1).delivers(1)
    life.on(signals.Progressed("Sample 1/48"), signals.Tick(), after=119.0)
    assert not life.wants(signals.KillContainer)
    life.on(signals.Tick(), after=2.0)
    assert life.wants(signals.KillContainer)
    (said,) = life.exits(137).told(ChunkFailed)
    assert (said.fault, said.frame) == (Fault.TIME, 2)


def test_a_container_that_opens_its_scene_again_and_again_does_not_set_its_frames_clock_back() -> None:
    life = Life.rendering()
    for _ in range(12):
        life.on(signals.CpuSeen(1_000_000_000), signals.SceneOpened(), signals.Tick(), after=10.0)
    assert not life.wants(signals.KillContainer)
    life.on(signals.SceneOpened(), signals.Tick(), after=3.0)
    assert life.wants(signals.KillContainer)
    (said,) = life.exits(137).told(ChunkFailed)
    assert (said.fault, said.frame) == (Fault.TIME, 1)


def test_the_clock_of_a_scene_that_is_opened_late_begins_when_it_is_open_and_its_word_is_a_sign_of_life_later() -> None:
    life = Life().on(signals.BundleFetched(), signals.ContainerStarted())
    life.on(signals.SceneOpened(), after=100.0).on(signals.SceneOpened(), signals.Tick(), after=119.0)
    assert not life.wants(signals.KillContainer)
    assert (life.attempt.frame_since, life.attempt.alive_at) == (life.now - 119.0, life.now)


def test_a_sample_over_its_budget_is_stopped_and_tells_what_it_cost() -> None:
    life = Life.rendering(an_assignment(1, kind=Kind.SAMPLE, budget_seconds=30))
    life.on(signals.CpuSeen(31_000_000), signals.Tick(), after=31.0)
    (said,) = life.exits(137).told(ChunkFailed)
    assert (said.fault, said.cpu_micros) == (Fault.TIME, 31_000_000)


def test_a_silent_and_idle_container_is_stopped_but_a_silent_busy_one_is_not() -> None:
    assignment = an_assignment(1, max_seconds_per_frame=10_000)
    busy, idle = Life.rendering(assignment), Life.rendering(assignment)
    for second in range(30):
        busy.on(signals.CpuSeen(second * 5_000_000), signals.Tick(), after=5.0)
        idle.on(signals.CpuSeen(1_000), signals.Tick(), after=5.0)
    assert not busy.wants(signals.KillContainer)
    assert idle.wants(signals.KillContainer)
    assert [said.fault for said in idle.exits(137).told(ChunkFailed)] == [Fault.MACHINE]


@pytest.mark.parametrize(
    "order",
    [
        signals.Withdrawn("cancelled"),
        signals.GiveBack("his machine"),
        signals.ContainerMisbehaved(failed(Fault.MACHINE, "nonsense")),
    ],
    ids=["cancelled", "given back", "misbehaved"],
)
def test_a_container_that_is_still_there_is_asked_to_end_again_until_it_has_gone_and_not_at_every_look(
    order: signals.Input,
) -> None:
    life = Life.rendering().on(order)
    for _ in range(80):
        life.on(signals.Tick(), after=0.25)
    assert len(life.wants(signals.KillContainer)) == 1 + 4, "every five seconds"
    life.exits(137)
    life.on(*[signals.Tick()] * 3, after=60.0)
    assert len(life.wants(signals.KillContainer)) == 1 + 4


def test_when_the_grant_has_ended_and_the_engine_refuses_it_is_asked_no_more_often_either() -> None:
    life = Life(an_assignment(1), ends_at=200.0)
    life.on(signals.BundleFetched(), signals.ContainerStarted(), signals.SceneOpened())
    life.on(signals.Tick(), after=100.0)
    for _ in range(40):
        life.on(signals.Tick(), after=0.25)
    assert len(life.wants(signals.KillContainer)) == 1 + 2


def test_a_container_that_is_not_there_yet_is_asked_to_end_when_it_is() -> None:
    life = Life().on(signals.BundleFetched(), signals.Withdrawn("cancelled"))
    for _ in range(10):
        life.on(signals.Tick(), after=5.0)
    assert len(life.wants(signals.KillContainer)) == 1
    life.on(signals.ContainerStarted(), signals.Tick(), after=5.0)
    assert len(life.wants(signals.KillContainer)) == 2


def test_the_first_reason_to_stop_a_container_stands() -> None:
    life = Life.rendering().on(signals.ContainerMisbehaved(failed(Fault.MACHINE, "nonsense")))
    life.on(signals.ContainerMisbehaved(failed(Fault.SCENE, "more nonsense")))
    (said,) = life.exits(137).told(ChunkFailed)
    assert said.text == "nonsense"


def test_a_probe_tells_its_cost_and_delivers_no_picture() -> None:
    life = Life.rendering(an_assignment(5, kind=Kind.PROBE, scale_percent=50))
    grant = life.attempt.assignment.grant
    life.on(signals.Probed(ProbeMeasured(grant=grant, frame=5, scale_percent=50, cpu_micros=900_000)))
    life.exits(0)
    assert [type(event) for event in life.told()] == [ProbeMeasured, ChunkCompleted]


def test_an_inspection_tells_its_report_even_of_a_file_that_cannot_be_opened() -> None:
    assignment = an_assignment(kind=Kind.INSPECT)
    life = Life.rendering(assignment)
    life.on(signals.Surveyed(InspectionReported(grant=assignment.grant, error="cannot_open: no")))
    life.exits(3)
    assert [type(event) for event in life.told()] == [InspectionReported, ChunkCompleted]


def test_only_the_first_report_of_an_inspection_is_told_and_more_of_them_do_not_put_off_its_end() -> None:
    life = Life.rendering(assignment := an_assignment(kind=Kind.INSPECT))
    for text in ("first", "second", "third"):
        life.on(signals.Surveyed(InspectionReported(grant=assignment.grant, error=text)), signals.Tick(), after=4.0)
    assert [said.error for said in life.told(InspectionReported)] == ["first"]
    assert not life.wants(signals.KillContainer)
    assert life.on(signals.Tick(), after=3.0).wants(signals.KillContainer)
    assert life.exits(137).told(ChunkCompleted)


def test_the_budget_of_an_inspection_holds_also_for_what_comes_after_its_report() -> None:
    life = Life.rendering(assignment := an_assignment(kind=Kind.INSPECT, budget_seconds=30))
    life.on(signals.Surveyed(InspectionReported(grant=assignment.grant, error="no")), signals.Tick(), after=29.0)
    assert not life.wants(signals.KillContainer)
    assert life.on(signals.Tick(), after=2.0).wants(signals.KillContainer)
    assert life.exits(137).told(ChunkCompleted)


def test_an_inspection_without_a_report_has_failed() -> None:
    (said,) = Life.rendering(an_assignment(kind=Kind.INSPECT)).exits(137, out_of_memory=True).told(ChunkFailed)
    assert (said.fault, said.frame) == (Fault.MEMORY, None)


def test_a_container_that_has_given_everything_and_does_not_leave_is_ended_and_the_chunk_is_complete() -> None:
    life = Life.rendering(an_assignment(1)).renders(1)
    life.on(signals.Tick(), after=9.0)
    assert not life.wants(signals.KillContainer)
    life.on(signals.Tick(), after=2.0)
    assert life.wants(signals.KillContainer)
    life.exits(137).delivers(1)
    assert life.told(ChunkCompleted)


@pytest.mark.parametrize("code", [1, 134, 137, 139])
def test_how_a_container_leaves_that_has_given_everything_is_its_own_business(code: int) -> None:
    life = Life.rendering(an_assignment(1)).renders(1).exits(code).delivers(1)
    assert life.told(ChunkCompleted)
    assert not life.told(ChunkFailed)


def test_a_frame_that_was_kept_from_computing_is_the_machines_fault_and_one_that_computed_is_not() -> None:
    assignment = an_assignment(1, max_seconds_per_frame=120)
    starved, busy = Life.rendering(assignment), Life.rendering(assignment)
    for second in range(1, 26):
        starved.on(signals.CpuSeen(second * 250_000), signals.Tick(), after=5.0)
        busy.on(signals.CpuSeen(second * 5_000_000), signals.Tick(), after=5.0)
    assert [said.fault for said in starved.exits(137).told(ChunkFailed)] == [Fault.MACHINE]
    assert [said.fault for said in busy.exits(137).told(ChunkFailed)] == [Fault.TIME]


@pytest.mark.parametrize(
    ("idle_per_second", "held_back_per_second", "fault"),
    [(1.9, 0.0, Fault.TIME), (0.1, 0.0, Fault.MACHINE), (1.9, 0.9, Fault.MACHINE)],
    ids=["the machine stands idle", "other programs compute", "the container's quota is next to nothing"],
)
def test_a_frame_that_only_waits_is_the_scenes_fault_where_the_machine_would_have_let_it_compute(
    idle_per_second: float, held_back_per_second: float, fault: Fault
) -> None:
    life = Life.rendering(an_assignment(1, max_seconds_per_frame=120))
    for second in range(0, 126, 5):
        room = Room(1_000 + second * idle_per_second, second * held_back_per_second)
        life.on(signals.CpuSeen(second * 1_000, room), signals.Progressed("Sample 1/48"), signals.Tick(), after=5.0)
    assert [said.fault for said in life.exits(137).told(ChunkFailed)] == [fault]


def test_what_the_machine_had_to_spare_while_the_container_stood_still_is_not_held_against_the_scene() -> None:
    life = Life.rendering(an_assignment(1, max_seconds_per_frame=120))
    life.on(signals.CpuSeen(0, Room(1_000, 0.0)), signals.Freeze(), after=5.0)
    life.on(signals.Thaw(), after=600.0)
    for second in range(0, 126, 5):
        life.on(signals.CpuSeen(second * 1_000, Room(1_600 + second * 0.1, 0.0)), signals.Progressed("Sample 1/48"), after=5.0)
        life.on(signals.Tick())
    assert [said.fault for said in life.exits(137).told(ChunkFailed)] == [Fault.MACHINE]


def test_a_frame_on_a_gpu_that_needs_little_of_the_processor_is_not_the_machines_fault() -> None:
    life = Life.rendering(an_assignment(1, max_seconds_per_frame=120, gpu="GPU-0"))
    for second in range(0, 126, 5):
        life.on(signals.CpuSeen(second * 1_000, Room(1_000 + second * 0.1, 0.0)), signals.Progressed("Sample 1/48"), after=5.0)
        life.on(signals.Tick())
    assert [said.fault for said in life.exits(137).told(ChunkFailed)] == [Fault.TIME]


def test_a_slow_machine_that_lends_a_tenth_of_a_core_is_not_blamed_for_giving_just_that() -> None:
    life = Life(an_assignment(1, max_seconds_per_frame=120))
    life.on(signals.BundleFetched(), signals.ContainerStarted(cpus=0.1), signals.SceneOpened())
    for second in range(1, 26):
        life.on(signals.CpuSeen(second * 500_000), signals.Tick(), after=5.0)
    assert [said.fault for said in life.exits(137).told(ChunkFailed)] == [Fault.TIME]


def test_a_short_sleep_of_the_machine_is_not_the_frames_time_and_a_long_one_gives_the_chunk_back() -> None:
    life = Life.rendering(an_assignment(1, lease_seconds=60, max_seconds_per_frame=120))
    for _ in range(30):
        life.on(signals.Progressed("Sample 1/48"), signals.Tick(), after=3.0)
    life.on(signals.Tick(), after=50.0)
    assert not life.wants(signals.KillContainer)
    life.on(signals.Tick(), after=500.0)
    assert life.wants(signals.KillContainer)
    (said,) = life.exits(137).told(ChunkReleased)
    assert "asleep" in said.text


def test_what_is_heard_between_a_waking_and_the_next_look_began_then_and_not_ahead_of_now() -> None:
    life = Life.rendering(an_assignment(1, 2, lease_seconds=60, max_seconds_per_frame=120))
    life.on(signals.Tick())
    life.on(signals.FrameTaken(a_picture(1)), after=25.0)
    life.on(signals.Tick())
    assert life.attempt.frame_since <= life.now
    assert life.attempt.alive_at <= life.now


def test_a_container_found_paused_by_somebody_else_when_it_is_ended_is_nobodys_failure() -> None:
    life = Life.rendering(an_assignment(1))
    life.on(signals.Tick(), after=130.0)
    life.on(signals.StoodStill())
    assert [said.reason for said in life.exits(137).told(ChunkReleased)] == [Release.STOPPED]
    orders = Life.rendering().on(signals.Withdrawn("cancelled"), signals.StoodStill()).exits(137)
    assert not orders.told(ChunkReleased)


def test_the_renter_is_told_what_to_do_and_the_lenders_advice_stays_with_the_lender() -> None:
    (scene,) = Life.rendering().on(signals.Complained("no_camera", None, "no camera")).exits(4).told(ChunkFailed)
    (machine,) = Life.rendering().on(signals.Complained("cannot_write", None, "no")).exits(5).told(ChunkFailed)
    assert "camera" in scene.hint
    assert machine.hint == ""
