"""What must be true after a job, however often and whenever parts of the farm were killed under it."""

from collections import Counter, defaultdict
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from contracts.events import FramesRendered, FramesSealed, FramesStored, JobSettled
from contracts.topology import SERVICES
from contracts.values import frames
from services.billing.domain.charging import ON_FRAMES
from services.billing.domain.ledger import Posting, PostingKind, balances, held, may_be_negative
from services.billing.repository.postings import read
from tests.faults.stage import Stage
from tests.waiting import until

BYSTANDERS = ("intake", "billing", "notifier")
"""No attempt may notice that one of these has died."""


async def all_is_well(stage: Stage, wanted: set[int]) -> None:
    """Of a job that has been settled."""
    await until(lambda: _nothing_left_to_say(stage), "everything saved is told and cleared", 30)
    _each_frame_is_stored_once(stage, wanted)
    _only_frames_in_flight_are_rendered_again(stage)
    postings = [read(document) async for document in stage.world.database("billing")["postings"].find({})]
    _each_frame_is_paid_once(stage, postings, wanted)
    await _the_ledger_is_whole(stage, postings)
    assert stage.ear.told_twice() == []
    await until(lambda: mails(stage), "a mail to the renter", 30)
    _no_fact_is_mailed_under_two_ids(stage)
    for service in SERVICES:
        dead = [(letter.headers.get("x-inbox"), letter.headers.get("x-reason")) for letter in await stage.world.dead(service)]
        assert dead == [], service


async def _nothing_left_to_say(stage: Stage) -> bool:
    return not any([await stage.pending(service) for service in SERVICES])


def _each_frame_is_stored_once(stage: Stage, wanted: set[int]) -> None:
    facts = stage.ear.said(FramesStored, job=stage.job)
    deliveries = {(one.frame, fact.attempt, one.key) for fact in facts for one in fact.frames}
    assert Counter(frame for frame, _, _ in deliveries) == Counter(wanted), "each frame came to be once, however often told"
    sealed = stage.ear.said(FramesSealed, job=stage.job)
    assert len(sealed) == 1
    assert sorted(frames(sealed[0].frames)) == sorted(wanted)
    assert (sealed[0].count, sealed[0].outcome) == (len(wanted), "rendered")


def rendered_again(stage: Stage) -> dict[int, set[str]]:
    """Frame → its attempts, of frames that more than one attempt has rendered."""
    attempts: dict[int, set[str]] = defaultdict(set)
    for fact in stage.ear.said(FramesRendered):
        if fact.grant.job == stage.job:
            for one in fact.frames:
                attempts[one.frame].add(fact.grant.attempt)
    return {frame: by for frame, by in attempts.items() if len(by) > 1}


def _only_frames_in_flight_are_rendered_again(stage: Stage) -> None:
    """Of a frame's attempts all but the last had it in hand when a part was killed that they need."""
    in_flight = {
        (attempt, frame)
        for kill in stage.kills
        if not kill.victim.startswith(BYSTANDERS)
        for attempt, (_, some) in kill.flying.items()
        for frame in some
    }
    for frame, attempts in rendered_again(stage).items():
        for_nothing = {attempt for attempt in attempts if (attempt, frame) not in in_flight}
        assert len(for_nothing) <= 1, f"frame {frame} was rendered by {attempts}, of which {for_nothing} lost nothing by a kill"


def _each_frame_is_paid_once(stage: Stage, postings: list[Posting], wanted: set[int]) -> None:
    undone = {one.reverses for one in postings}
    paid = Counter(one.frame for one in postings if one.job == stage.job and one.kind in ON_FRAMES and one.key not in undone)
    assert paid == Counter(wanted)


async def _the_ledger_is_whole(stage: Stage, postings: list[Posting]) -> None:
    sums = balances(postings)
    assert sum(sums.values()) == 0
    assert [account for account, amount in sums.items() if amount < 0 and not may_be_negative(account)] == []
    assert sums[held(stage.renter.id)] == 0
    settled = stage.ear.said(JobSettled, job=stage.job)
    assert len(settled) == 1
    taken = sum(
        leg.amount_micro for one in postings for leg in one.legs if leg.account == held(stage.renter.id) and _is_charge(one)
    )
    assert settled[0].charged_micro == -taken
    assert settled[0].held_micro == settled[0].charged_micro + settled[0].released_micro
    for lender in stage.lenders:
        beside = await stage.world.database("billing")["accounts"].find_one({"_id": lender.id})
        assert beside["pending_micro"] == sums.get(f"lender:{lender.id}:pending", 0)
        assert beside["payable_micro"] == sums.get(f"lender:{lender.id}:payable", 0) > 0


def _is_charge(one: Posting) -> bool:
    return one.kind not in (PostingKind.HOLD, PostingKind.RELEASE)


def mails(stage: Stage) -> list[Message]:
    folder = Path(stage.world.farm["FARM_MAIL_DIR"])
    found = (message_from_bytes(path.read_bytes()) for path in folder.glob("*.eml"))
    return [mail for mail in found if stage.renter.email in str(mail["X-Envelope-To"])]


def _no_fact_is_mailed_under_two_ids(stage: Stage) -> None:
    """Two letters about the same fact have the same words."""
    ids = defaultdict(set)
    for mail in mails(stage):
        words = next(part for part in mail.walk() if part.get_content_type() == "text/plain").get_payload()
        ids[str(mail["Subject"]), str(words)].add(mail["Message-ID"])
    assert [subject for (subject, _), some in ids.items() if len(some) > 1] == []
