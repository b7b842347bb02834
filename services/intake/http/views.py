"""From what intake remembers to what people see."""

from collections.abc import Sequence
from datetime import datetime

from contracts.values import MICRO, Band, PriceLine
from services.chassis.repository import Saved
from services.intake.domain.accounts import Account
from services.intake.domain.credits import credit_text
from services.intake.domain.farm import Farm, notice, reason
from services.intake.domain.framelists import written
from services.intake.domain.jobs import ENDED, Answer, Job, Quote
from services.intake.domain.uploads import Upload
from services.intake.http import shapes
from services.intake.repository.accounts import Balance
from services.intake.repository.frames import Counted
from services.intake.repository.lenders import Earned
from services.intake.repository.timeline import Line


def account(who: Saved[Account], balance: Balance) -> shapes.AccountView:
    known = who.state
    return shapes.AccountView(
        id=who.id,
        name=known.name,
        email=known.email,
        roles=[role.value for role in known.roles],
        opened_at=known.opened_at,
        webhook=known.webhook,
        balances=balances(balance),
    )


def balances(balance: Balance) -> shapes.Balances:
    return shapes.Balances(
        available=credit_text(balance.available_micro),
        held=credit_text(balance.held_micro),
        pending=credit_text(balance.pending_micro),
        payable=credit_text(balance.payable_micro),
        debt=credit_text(balance.debt_micro),
    )


def upload(id: str, known: Upload) -> shapes.UploadView:
    return shapes.UploadView(
        id=id,
        state=known.state.value,
        sha256=known.sha256,
        bytes=known.bytes,
        code=known.code,
        text=known.text,
        blends=list(known.blends),
        files=known.files,
        unpacked_bytes=known.unpacked_bytes,
    )


def timeline_line(line: Line) -> shapes.TimelineLine:
    return shapes.TimelineLine(
        number=line.number, at=line.at, kind=line.entry.kind, text=line.entry.text, data=dict(line.entry.data)
    )


def revision(saved: Saved[Job], counted: Counted, farm: Farm) -> int:
    """Grows with every change of the job's document, of its buckets of frames, and of the operator's order to the farm."""
    return saved.version + counted.revision + farm.revision


def _reason(known: Job, farm: Farm, now: datetime) -> str:
    start = known.wishes.start_at
    own = f"rendering starts at {start:%Y-%m-%d %H:%M} UTC" if start and start > now and known.state == "queued" else known.reason
    return reason(farm, known.state, own)


def job_line(saved: Saved[Job], counted: Counted) -> shapes.JobLine:
    known = saved.state
    return shapes.JobLine(
        id=saved.id,
        name=known.name,
        state=known.state,
        reason=known.reason,
        submitted_at=known.submitted_at,
        stored=counted.stored,
        total=known.total,
        charged=credit_text(known.charged_micro),
        price=credit_text(known.quote.price_micro) if known.quote else None,
    )


def job(saved: Saved[Job], counted: Counted, earned: Sequence[Earned], now: datetime, farm: Farm) -> shapes.JobView:
    known, facts = saved.state, saved.state.facts
    left = known.progress.remaining_seconds if known.progress else None
    return shapes.JobView(
        **{**job_line(saved, counted).model_dump(), "reason": _reason(known, farm, now)},
        revision=revision(saved, counted, farm),
        ended=known.state in ENDED,
        bundle=known.bundle,
        blend=known.blend,
        asked_frames=written(known.asked),
        frames=written(known.frames),
        price_per_wu=credit_text(known.price_per_wu_micro),
        max_cost=credit_text(known.limits.max_cost) if known.limits.max_cost else None,
        deadline=known.limits.deadline,
        start_at=known.wishes.start_at,
        priority=known.wishes.priority,
        left_out=written(known.wishes.left_out),
        notice="" if known.state in ENDED else notice(farm),
        order=known.order,
        allows=list(known.allows),
        lenders=list(known.lenders),
        control=known.control.value if known.control else None,
        findings=list(known.findings),
        support=known.support,
        changes=list(known.settings.changes),
        replaced_by=known.replaced_by,
        width=facts.width if facts else 0,
        height=facts.height if facts else 0,
        fps=facts.fps_milli / 1000 if facts else 0.0,
        deposit=credit_text(known.deposit_micro),
        held=credit_text(known.held_micro),
        quote=_quote(known.quote, known, now) if known.quote else None,
        refusal=_refusal(known),
        remaining_seconds=_interval(left) if left and known.state not in ENDED else None,
        agents=_agents(known, earned),
        failure=_failure(known),
        settlement=_settlement(known),
        files=[shapes.FileView(name=file.name, bytes=file.bytes, sha256=file.sha256) for file in known.files],
        files_until=known.files_until,
    )


def _quote(quote: Quote, known: Job, now: datetime) -> shapes.QuoteView:
    mine = known.answer if known.answer and known.answer.version == quote.version else None
    over = known.expired_version >= quote.version or now >= quote.expires_at or known.state in ENDED
    refused = known.refusal is not None and known.refusal.version == quote.version
    return shapes.QuoteView(
        version=quote.version,
        price=credit_text(quote.price_micro),
        lines=_lines(quote.lines),
        work=_interval(quote.micro_wu, MICRO),
        seconds=_interval(quote.seconds),
        expires_at=quote.expires_at,
        within_max_cost=known.affords(quote),
        answer=_word(mine),
        open=not over and known.affords(quote) and (mine is None or (mine.accepted and refused)),
        outlook=known.outlook_now,
        reason=quote.reason,
        left_frames=quote.left_frames,
        left_price=None if quote.left_micro is None else credit_text(quote.left_micro),
        left_before=None if quote.left_before_micro is None else credit_text(quote.left_before_micro),
    )


def _word(answer: Answer | None) -> str:
    if answer is None:
        return "none"
    return "accepted" if answer.accepted else "declined"


def _refusal(known: Job) -> shapes.RefusalView | None:
    said = known.refusal
    if said is None:
        return None
    needed, available = credit_text(said.needed_micro), credit_text(said.available_micro)
    return shapes.RefusalView(version=said.version, needed=needed, available=available, text=said.text)


def _failure(known: Job) -> shapes.FailureView | None:
    said = known.failure
    if said is None:
        return None
    return shapes.FailureView(code=said.code, reason=said.reason, hint=said.hint, log_tail=said.log_tail)


def _settlement(known: Job) -> shapes.SettlementView | None:
    said = known.settlement
    if said is None:
        return None
    return shapes.SettlementView(
        outcome=said.outcome,
        held=credit_text(said.held_micro),
        charged=credit_text(said.charged_micro),
        released=credit_text(said.released_micro),
        lines=_lines(said.lines),
    )


def _agents(known: Job, earned: Sequence[Earned]) -> list[shapes.AgentLine]:
    """Those at work now, and those that have earned on this job."""
    shares = {share.agent: share for share in known.progress.agents} if known.progress else {}
    sums = {one.agent: one for one in earned}
    found = []
    for agent in sorted({*shares, *sums}):
        share, one = shares.get(agent), sums.get(agent)
        found.append(
            shapes.AgentLine(
                agent=agent,
                rendering=list(share.frames) if share and known.state not in ENDED else [],
                under_way=list(share.under_way) if share and known.state not in ENDED else [],
                stored=max(share.stored if share else 0, one.frames if one else 0),
                wu_per_minute=share.micro_wu_per_minute / MICRO if share else 0.0,
                earned=credit_text(one.earned_micro if one else 0),
            )
        )
    return found


def _lines(lines: Sequence[PriceLine]) -> list[shapes.LineView]:
    return [shapes.LineView(code=one.code, text=one.text, amount=credit_text(one.amount_micro)) for one in lines]


def _interval(band: Band, unit: int = 1) -> shapes.Interval:
    return shapes.Interval(low=band.low / unit, expected=band.expected / unit, high=band.high / unit)
