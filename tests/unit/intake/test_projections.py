"""The view of a job comes out the same whatever the order in which others' words arrive, and however often."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import events as e
from contracts.events import Event
from contracts.shards import shard_of
from contracts.values import Band, Finding, FrameRange, Limits, PriceLine, RenderSettings
from services.intake.domain import projections
from services.intake.domain.jobs import Job

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
JOB, RENTER = "j-1", "renter-1"


def a_job(**more: Any) -> Job:
    plain: dict[str, Any] = {
        "account": RENTER,
        "name": "Waves",
        "bundle": "0" * 64,
        "bundle_bytes": 10,
        "blend": "waves.blend",
        "asked": (FrameRange(first=1, last=10),),
        "settings": RenderSettings(),
        "price_per_wu_micro": 10_000,
        "limits": Limits(),
        "fingerprint": "f",
        "submitted_at": NOW,
    }
    return Job(**{**plain, **more})


def a_band(expected: int) -> Band:
    return Band(low=0, expected=expected, high=expected * 2)


def a_quote(version: int) -> e.JobQuoted:
    line = PriceLine(code="frames", text="frames", amount_micro=version)
    return e.JobQuoted(
        job=JOB,
        account=RENTER,
        version=version,
        price_micro=version * 1_000_000,
        lines=(line,),
        micro_wu=a_band(5),
        seconds=a_band(60),
        expires_at=NOW + timedelta(days=1),
    )


def a_history() -> list[Event]:
    """Everything one long job can be told of: requoted once, its hold refused once, rendered, settled, packaged."""
    who: dict[str, Any] = {"job": JOB, "account": RENTER}
    finding = Finding(code="denoise", severity="info", text="Denoising is on.")
    history: list[Event] = [
        e.HoldRefused(
            **{"job": JOB, "account": RENTER, "version": 0, "needed_micro": 5, "available_micro": 1, "text": "Top up."}
        ),
        e.DepositHeld(**who, amount_micro=500, micro_wu_limit=10),
        e.JobInspected(**who, accepted=True, findings=(finding,), frames=(FrameRange(first=1, last=10),)),
        e.JobEstimated(**who, version=1, curve=_curve(), frames=(), micro_wu=a_band(5), seconds=a_band(60)),
        a_quote(1),
        e.JobEstimated(**who, version=2, curve=_curve(), frames=(), micro_wu=a_band(6), seconds=a_band(70)),
        a_quote(2),
        e.QuoteExpired(**who, version=1),
        e.HoldRefused(**who, version=2, needed_micro=7, available_micro=1, text="Top up."),
        e.CreditsHeld(**who, version=2, amount_micro=2_000_000),
        e.FramesSealed(**who, outcome="completed", frames=(FrameRange(first=1, last=10),), count=10),
        e.JobSettled(**who, outcome="completed", held_micro=9, charged_micro=8, released_micro=1, lines=(), frames=()),
        e.JobPackaged(**who, files=(), until=NOW + timedelta(days=7)),
    ]
    states = ("inspecting", "estimating", "quoted", "queued", "rendering", "packaging", "completed")
    history += [e.JobProgressed(**who, state="rendering", revision=5, stored=n, total=10) for n in range(0, 10, 3)]
    history += [e.JobStateChanged(**who, state=state, revision=n) for n, state in enumerate(states, 1)]
    history += [e.JobCharged(**who, revision=n, charged_micro=n, frames=n) for n in range(1, 9)]
    return history


def _curve() -> Any:
    return {"knots": [{"frame": 1, "micro_wu": 5}]}


def folded(events: list[Event]) -> Job:
    job = a_job()
    for event in events:
        job = projections.folded(job, event)
    return job


@settings(max_examples=200)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 30), max_size=15))
def test_any_order_and_any_repetition_gives_the_same_view(chance: random.Random, repeated: list[int]) -> None:
    history = a_history()
    told = history + [history[n % len(history)] for n in repeated]
    chance.shuffle(told)
    view, expected = folded(told), folded(history)
    assert _comparable(view) == _comparable(expected)


def _comparable(job: Job) -> Job:
    """Snapshots of progress may be skipped once the state has moved on: what counts of them is gone from the view by then."""
    return replace(job, progress=None)


def test_the_view_of_the_whole_history_is_what_each_word_meant() -> None:
    job = folded(a_history())
    assert (job.state, job.state_revision) == ("completed", 7)
    assert job.quote is not None
    assert (job.quote.version, job.expired_version, job.held_version, job.refusal) == (2, 1, 2, None)
    assert (job.charged_micro, job.charged_frames, job.deposit_micro) == (8, 8, 500)
    assert job.progress is not None
    assert job.progress.stored == 9


@given(st.permutations([1, 2, 3, 4]))
def test_money_is_never_older_than_the_newest_word_about_it(order: list[int]) -> None:
    job, newest = a_job(), 0
    for revision in order:
        event = e.JobCharged(job=JOB, account=RENTER, revision=revision, charged_micro=revision * 10, frames=revision)
        job, newest = projections.folded(job, event), max(newest, revision)
        assert job.charged_micro == newest * 10


def test_a_settlement_is_final_whatever_charge_comes_after_it() -> None:
    settled = e.JobSettled(
        job=JOB, account=RENTER, outcome="cancelled", held_micro=9, charged_micro=4, released_micro=5, lines=(), frames=()
    )
    late = e.JobCharged(job=JOB, account=RENTER, revision=99, charged_micro=3, frames=1)
    assert folded([settled, late]).charged_micro == folded([late, settled]).charged_micro == 4


def test_files_do_not_come_back_after_the_purge() -> None:
    file = e.PackagedFile(name="frames.zip", key="k", bytes=1, sha256="0" * 64)
    packaged = e.JobPackaged(job=JOB, account=RENTER, files=(file,), until=NOW)
    purged = e.JobPurged(job=JOB, account=RENTER)
    assert folded([packaged]).files
    assert folded([purged, packaged]) == folded([packaged, purged])
    assert not folded([purged, packaged]).files


def test_an_older_state_does_not_undo_a_newer_one() -> None:
    newer = e.JobStateChanged(job=JOB, account=RENTER, state="paused", reason="You paused it.", revision=6)
    older = e.JobProgressed(job=JOB, account=RENTER, state="rendering", revision=5, stored=3, total=10)
    assert folded([newer, older]).state == "paused"
    assert folded([older, newer]).state == "paused"


def test_what_agents_of_another_shard_have_in_hand_stays_as_their_own_shard_said_it() -> None:
    ann, bob = next((one, two) for one in NAMES for two in NAMES if (shard_of(one, 2), shard_of(two, 2)) == (0, 1))

    def snapshot(shard: int | None, **frames: int) -> Event:
        shares = [{"agent": agent, "stored": 0, "frames": (frames[agent],) if agent in frames else ()} for agent in (ann, bob)]
        told = {"state": "rendering", "revision": 5, "stored": 0, "total": 9, "agents": shares}
        more = {} if shard is None else {"shard": shard, "shards": 2}
        return e.JobProgressed.model_validate({"job": JOB, "account": RENTER, **told, **more})

    def in_hand(*events: Event) -> list[tuple[int, ...]]:
        progress = folded(list(events)).progress
        assert progress is not None
        return [share.frames for share in progress.agents]

    assert in_hand(snapshot(0, **{ann: 1}), snapshot(1, **{bob: 2})) == [(1,), (2,)]
    assert in_hand(snapshot(0, **{ann: 1}), snapshot(1, **{bob: 2}), snapshot(0)) == [(), (2,)]
    assert in_hand(snapshot(None, **{ann: 1}), snapshot(None, **{bob: 2})) == [(), (2,)]


NAMES = [f"agent-{number}" for number in range(10)]
