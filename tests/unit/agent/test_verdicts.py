"""From evidence to whose fault it was: the order in which evidence counts, the words, and what no scene can talk its way into."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.attempt import End
from agent.domain.evidence import UNSEEN, Complaint, Evidence, Host, Stage
from agent.domain.logwords import WORDS, read_log
from agent.domain.verdicts import COMPLAINTS, FROM_OUTSIDE, no_container, no_docker, removed, verdict
from contracts.events import Fault, Release

GB = 1_000_000_000
PRESSED = Host(free_disk_bytes=50 * GB, least_memory_bytes=30_000_000, kills=1)
NO_DISK = Host(free_disk_bytes=4_096, least_memory_bytes=8 * GB)
PLENTY = Host(free_disk_bytes=50 * GB, least_memory_bytes=8 * GB)


def evidence(code: int, out_of_memory: bool = False, **changes: Any) -> Evidence:
    return replace(Evidence(code, out_of_memory, 2 * GB, done=False, frame=7, host=PLENTY), **changes)


def said(code: str, text: str = "words") -> Complaint:
    return Complaint(code, 7, text)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        *((code, Fault.MACHINE) for code in (0, 1, 2, 5, 42, 125, 126, 127, 132, 135)),
        *((code, Fault.SCENE) for code in (3, 4, 134, 136, 139)),
    ],
)
def test_an_exit_code_alone_says_the_least_and_still_something(code: int, fault: Fault) -> None:
    ending = verdict(evidence(code))
    assert (ending.fault, ending.frame) == (fault, 7)
    assert ending.text


@pytest.mark.parametrize("code", sorted(FROM_OUTSIDE))
def test_what_was_stopped_from_outside_is_an_interruption_whatever_it_had_said(code: int) -> None:
    ending = verdict(evidence(code, complaint=said("cannot_render"), log="std::bad_alloc"))
    assert (ending.end, ending.release) == (End.RELEASED, Release.STOPPED)


def test_who_ran_out_of_memory_is_told_apart() -> None:
    own = verdict(evidence(137, out_of_memory=True))
    machine = verdict(evidence(137, out_of_memory=True, host=PRESSED))
    unflagged = verdict(evidence(137, host=PRESSED))
    taken = verdict(evidence(137, out_of_memory=True, memory_limit_bytes=GB))
    assert [own.fault, machine.fault, unflagged.fault, taken.release] == [
        *(Fault.MEMORY, Fault.MACHINE, Fault.MACHINE, Release.STOPPED)
    ]
    assert "2.0 GB" in own.text
    assert "from 2.0 GB to 1.0 GB" in taken.text


def test_another_containers_death_of_memory_does_not_explain_this_ones() -> None:
    ending = verdict(evidence(137, host=replace(PLENTY, kills=3)))
    assert ending.release is Release.STOPPED


def test_a_machine_that_tells_nothing_of_itself_is_not_blamed() -> None:
    assert verdict(evidence(137, out_of_memory=True, host=UNSEEN)).fault is Fault.MEMORY
    assert verdict(evidence(139, host=UNSEEN)).fault is Fault.SCENE


@pytest.mark.parametrize("code", sorted(COMPLAINTS))
def test_a_complaint_of_the_driver_is_said_in_words_with_what_to_do(code: str) -> None:
    ending = verdict(
        evidence(4, complaint=said(code, "Error: it is /in/bundle/props.blend\nError: it is /in/bundle/props.blend"))
    )
    assert ending.fault is COMPLAINTS[code][0]
    assert ending.text.endswith("it is props.blend")
    assert "Error:" not in ending.text
    assert not ending.text.startswith(code)
    assert ending.advice


def test_a_full_disk_explains_an_unwritten_picture_and_a_crash() -> None:
    for ended in (evidence(5, complaint=said("bad_output")), evidence(139)):
        assert "disk of this machine is full" in verdict(replace(ended, host=NO_DISK)).text
        assert verdict(replace(ended, host=NO_DISK)).fault is Fault.MACHINE
    assert verdict(evidence(4, complaint=said("no_camera"), host=NO_DISK)).fault is Fault.SCENE


@pytest.mark.parametrize(
    ("log", "fault"),
    [
        ("Malloc returns null: len=1560281112 in CDPropFloat3, total 531890456", Fault.MEMORY),
        ("terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc", Fault.MEMORY),
        ("Traceback (most recent call last):\nMemoryError", Fault.MEMORY),
        ("what():  pthread_create has failed: Resource temporarily unavailable", Fault.MACHINE),
        ("OSError: [Errno 28] No space left on device", Fault.MACHINE),
        ("OSError: [Errno 5] Input/output error", Fault.MACHINE),
        ("Traceback (most recent call last):\nModuleNotFoundError: No module named 'bpy'", Fault.MACHINE),
        ("Failed to create CUDA context (Unknown error)", Fault.MACHINE),
        ("Illegal address in CUDA queue synchronize (integrator_shade_surface)", Fault.MACHINE),
        ("Out of memory in CUDA queue enqueue (integrator_shade_surface)", Fault.MEMORY),
        ("00:01.2  render  | Saved: 'x'", Fault.SCENE),
    ],
)
def test_the_last_lines_of_the_log_explain_a_crash_where_they_say_why(log: str, fault: Fault) -> None:
    assert verdict(evidence(134, log=log)).fault is fault


def test_each_word_of_the_log_is_found_by_a_line_of_the_table_above_or_its_own_example() -> None:
    said = {
        *("System is out of GPU memory", "Calloc returns null", "MemoryError", "Error: Out of memory", "Read-only file system"),
        *("Bad address in HIP queue zero", "OptiX error", "pthread_create has failed", "Disk quota exceeded"),
        *("Input/output error", "ImportError: x"),
    }
    found = {word.pattern for word in WORDS for line in said if word.pattern.search(line)}
    assert found == {word.pattern for word in WORDS}


def test_what_is_long_past_in_the_log_does_not_explain_the_end() -> None:
    old = "No space left on device\n" + "Fra:1 Sample 1/4\n" * 100
    assert read_log(old) is None
    assert read_log("No space left on device\n") is not None


def test_a_crash_before_the_scene_was_seen_is_the_machines_and_one_while_it_opens_is_the_files() -> None:
    loading = verdict(evidence(139, stage=Stage.LOADING))
    opening = verdict(evidence(139, stage=Stage.OPENING))
    assert (loading.fault, opening.fault, opening.frame) == (Fault.MACHINE, Fault.SCENE, None)


def test_the_engine_that_is_missing_is_named_as_the_file_names_it() -> None:
    log = "00:01.110  reports | ERROR Engine 'LUXCORE' not available for scene 'Scene' (an add-on may need to be installed)"
    complaint = said("engine", "scene 'Scene' renders with BLENDER_EEVEE, here is only CYCLES")
    assert "LUXCORE" in verdict(evidence(4, complaint=complaint, log=log)).text
    assert "BLENDER_EEVEE" in verdict(evidence(4, complaint=complaint)).text


def test_docker_answers_are_told_apart_by_their_words() -> None:
    card = no_container('docker: could not select device driver "" with capabilities: [[gpu]]')
    gone = no_container("docker: No such image: sha256:00")
    full = no_container("docker: mkdir /var/lib/docker/x: no space left on device")
    assert [ending.fault for ending in (card, gone, full, no_docker("x"))] == [Fault.MACHINE] * 4
    assert len({ending.advice for ending in (card, gone, full, no_docker("x"))}) == 4
    assert removed().release is Release.STOPPED


_LINE = st.sampled_from(
    ["No space left on device", "Malloc returns null: len=1", "Engine 'X' not available", "Error: Out of memory", "killed", ""]
)
_ANY = st.builds(
    Evidence,
    code=st.integers(-1, 300),
    out_of_memory=st.booleans(),
    memory_bytes=st.integers(0, 64 * GB),
    done=st.booleans(),
    frame=st.none() | st.integers(-5, 5),
    stage=st.sampled_from(Stage),
    complaint=st.none()
    | st.builds(Complaint, st.sampled_from([*COMPLAINTS, "new"]), st.none() | st.integers(-5, 5), st.text(max_size=60)),
    log=st.text(max_size=200) | st.lists(_LINE, max_size=80).map("\n".join),
    memory_limit_bytes=st.none() | st.integers(0, 64 * GB),
    host=st.builds(Host, st.none() | st.integers(0, GB), st.none() | st.integers(0, GB), st.integers(0, 9)),
)


@settings(max_examples=500, deadline=None)
@given(_ANY)
def test_every_evidence_has_one_verdict_with_words_for_people(given: Evidence) -> None:
    ending = verdict(given)
    assert given.done == (ending.end is End.COMPLETED)
    assert given.done or ending.text
    assert (ending.fault is None) != (ending.end is End.FAILED)
    assert verdict(given) == ending


@settings(max_examples=500, deadline=None)
@given(
    _ANY,
    st.none() | st.builds(Complaint, st.sampled_from([*COMPLAINTS]), st.none(), st.text(max_size=60)),
    st.text(max_size=90) | _LINE,
)
def test_no_word_of_a_scene_makes_an_interruption_or_undoes_one(given: Evidence, complaint: Complaint | None, log: str) -> None:
    """The control is the second half: what Docker says does decide it."""
    plain, talking = verdict(given), verdict(replace(given, complaint=complaint, log=log))
    assert (plain.end is End.RELEASED) == (talking.end is End.RELEASED)
    if not given.done and not given.out_of_memory and not given.host.kills:
        assert verdict(replace(given, code=137)).end is End.RELEASED
