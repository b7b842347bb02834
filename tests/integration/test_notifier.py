"""The notifier as a process: real mail and real webhooks, once per fact, also when it is killed between sending and recording."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from contracts.bus import new_id
from contracts.events import AccountOpened, DeadlineMissed, HoldRefused, JobFailed, JobQuoted, JobSettled, WebhookSet
from contracts.topology import BILLING, INTAKE, NOTIFIER, SCHEDULER
from contracts.values import Band, FrameRange, PriceLine
from services.notifier.webhook import secret
from tests.integration.one import OneService
from tests.integration.world import Process, World, free_port
from tests.waiting import until


@dataclass
class Receiver:
    """A renter's own HTTP server. `answer` decides the status, and may do something first."""

    calls: list[tuple[dict[str, str], str]] = field(default_factory=list)
    answer: Callable[[], int] = lambda: 204
    url: str = ""

    def of(self, job: str) -> list[tuple[dict[str, str], str]]:
        return [(headers, body) for headers, body in self.calls if json.loads(body)["data"]["job"] == job]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    it = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            it.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(it.answer())
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        it.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield it
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def one(world: World) -> Iterator[OneService]:
    it = OneService(world, NOTIFIER, FRAMELEND_LEASE_SECONDS="1", FRAMELEND_RETRY_SECONDS="[0.1, 0.2]")
    yield it
    it.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def notifier(one: OneService) -> Process:
    return await one.running()


async def a_renter(world: World, webhook: str | None = None) -> str:
    account = f"renter-{new_id()[-12:]}"
    await world.say(INTAKE, AccountOpened(account=account, email=f"{account}@example.org", name="Ada"))
    if webhook:
        await world.say(INTAKE, WebhookSet(account=account, url=webhook, revision=1))
    await until(lambda: contact_known(world, account, webhook), "the contact is known")
    return account


async def contact_known(world: World, account: str, webhook: str | None) -> bool:
    found = await world.database(NOTIFIER)["contacts"].find_one({"_id": account})
    return bool(found and found["email"] and found["webhook"] == webhook)


def a_quote(account: str, job: str | None = None) -> JobQuoted:
    band = Band(low=60, expected=120, high=240)
    return JobQuoted(
        job=job or new_id(),
        account=account,
        version=1,
        price_micro=1_500_000,
        lines=(PriceLine(code="rendering", text="8 frames at 0.02 credits per WU", amount_micro=1_500_000),),
        micro_wu=band,
        seconds=band,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def an_invoice(account: str, job: str) -> JobSettled:
    return JobSettled(
        job=job,
        account=account,
        outcome="completed",
        held_micro=2_000_000,
        charged_micro=1_500_000,
        released_micro=500_000,
        lines=(PriceLine(code="rendering", text="8 frames rendered", amount_micro=1_500_000),),
        frames=(FrameRange(first=1, last=8),),
    )


def mails(world: World, account: str) -> list[EmailMessage]:
    """Caught by the farm's mail catcher, oldest first."""
    folder = Path(world.farm["FARM_MAIL_DIR"])
    parsed = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(folder.glob("*.eml"))]
    return [mail for mail in parsed if isinstance(mail, EmailMessage) and account in str(mail["X-Envelope-To"])]


async def record(world: World, account: str, progress: str) -> dict[str, Any] | None:
    """The account's webhook record, once it is in this state."""
    query = {"account": account, "channel": "webhook", "progress": progress}
    found: dict[str, Any] | None = await world.database(NOTIFIER)["deliveries"].find_one(query)
    return found


async def operator_says_again(world: World) -> None:
    command = (sys.executable, "-m", "services.notifier.again", "--channel", "webhook")
    environment = {"PATH": os.environ["PATH"], **world.environment(NOTIFIER)}
    assert await (await asyncio.create_subprocess_exec(*command, env=environment)).wait() == 0


async def settled(world: World, account: str) -> bool:
    """Everything about this account is told or given up."""
    open_ones = {"account": account, "progress": {"$in": ["due", "sending"]}}
    return not await world.database(NOTIFIER)["deliveries"].count_documents(open_ones)


async def test_a_fact_told_three_times_is_mailed_and_called_once(world: World, notifier: Process, receiver: Receiver) -> None:
    account = await a_renter(world, receiver.url)
    quote = a_quote(account)
    await world.say(BILLING, quote, quote, quote)
    await until(lambda: mails(world, account) and receiver.of(quote.job), "told by both channels")
    await world.say(BILLING, quote, an_invoice(account, quote.job))
    await until(lambda: len(mails(world, account)) == 2 and len(receiver.of(quote.job)) == 2, "the invoice is told too")
    await until(lambda: settled(world, account), "nothing is under way")
    first, second = mails(world, account)
    assert first["Message-ID"] == f"<job.quoted.v1.{quote.job}.1@framelend.example>"
    assert "1.50 credits" in first["Subject"]
    assert "at most 1.50 credits" in (first.get_body(("plain",)) or first).get_content()
    assert "<h1" in (first.get_body(("html",)) or first).get_content()
    assert second["Message-ID"] == f"<job.settled.v1.{quote.job}@framelend.example>"
    assert len({headers["webhook-id"] for headers, _ in receiver.of(quote.job)}) == 2


async def test_a_webhook_is_signed_for_its_account_and_no_byte_can_be_changed(
    world: World, notifier: Process, receiver: Receiver
) -> None:
    account = await a_renter(world, receiver.url.replace("127.0.0.1", "localhost"))
    quote = a_quote(account)
    await world.say(BILLING, quote)
    await until(lambda: receiver.of(quote.job), "the webhook is called")
    headers, body = receiver.of(quote.job)[0]
    assert headers["host"].startswith("localhost:"), "connected to the judged address, asked for by its name"
    key = bytes.fromhex(world.farm["FARM_WEBHOOK_KEY"])
    heard = Webhook(secret(account, key)).verify(body, headers)
    assert heard["type"] == "job.quoted.v1"
    assert JobQuoted.model_validate(heard["data"]) == quote
    with pytest.raises(WebhookVerificationError):
        Webhook(secret(account, key)).verify(body.replace("1500000", "1"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret("somebody-else", key)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret(account, key)).verify(body, {**headers, "webhook-id": "msg_other"})


async def test_a_fact_about_an_account_not_yet_heard_of_is_told_when_it_is(world: World, notifier: Process) -> None:
    account = f"renter-{new_id()[-12:]}"
    job = new_id()
    refused = HoldRefused(job=job, account=account, version=1, needed_micro=2, available_micro=1, text="Top up 1.00 credits.")
    await world.say(BILLING, refused)
    await world.say(SCHEDULER, JobFailed(job=job, account=account, code="scene", reason="No camera.", hint="Add one."))
    await world.say(INTAKE, AccountOpened(account=account, email=f"{account}@example.org"))
    await until(lambda: len(mails(world, account)) == 2, "both are mailed")
    words = " ".join((mail.get_body(("plain",)) or mail).get_content() for mail in mails(world, account))
    assert "Top up 1.00 credits." in words
    assert "No camera." in words
    assert "Add one." in words


async def test_a_missed_deadline_is_mailed_and_called_once(world: World, notifier: Process, receiver: Receiver) -> None:
    account, job = await a_renter(world, receiver.url), new_id()
    due, left = datetime(2026, 11, 21, 9, tzinfo=UTC), Band(low=240, expected=300, high=360)
    missed = DeadlineMissed(job=job, account=account, deadline=due, lacking=7, remaining_seconds=left)
    await world.say(SCHEDULER, missed, missed)
    await until(lambda: mails(world, account) and receiver.of(job) and settled(world, account), "told by both channels")
    (mail,) = mails(world, account)
    assert "missed its deadline" in mail["Subject"]
    words = (mail.get_body(("plain",)) or mail).get_content()
    assert "7 frames are not stored yet" in words
    assert "5 min" in words
    assert [json.loads(body)["type"] for _, body in receiver.of(job)] == [DeadlineMissed.key()]


async def test_a_receiver_that_never_takes_it_is_given_up_and_others_do_not_wait(
    world: World, notifier: Process, receiver: Receiver
) -> None:
    receiver.answer = lambda: 500
    account, other = await a_renter(world, receiver.url), await a_renter(world)
    quote = a_quote(account)
    await world.say(BILLING, quote, a_quote(other))
    given_up = await until(lambda: record(world, account, "failed"), "given up")
    assert given_up["tries"] == 3
    assert "500" in given_up["problem"]
    assert len({headers["webhook-id"] for headers, _ in receiver.of(quote.job)}) == 1
    assert len({body for _, body in receiver.of(quote.job)}) == 1
    await until(lambda: mails(world, account) and mails(world, other), "mail is not held up")
    receiver.answer = lambda: 204
    await operator_says_again(world)
    assert (await until(lambda: record(world, account, "sent"), "told after all"))["tries"] == 1


async def test_an_address_inside_the_operators_network_is_not_called(world: World, one: OneService, receiver: Receiver) -> None:
    """The control is every other test here: with private addresses allowed the same receiver is called."""
    await one.running(FRAMELEND_WEBHOOK_ALLOW_PRIVATE="false")
    account = await a_renter(world, receiver.url.replace("127.0.0.1", "localhost"))
    await world.say(BILLING, a_quote(account))
    given_up = await until(lambda: record(world, account, "failed"), "refused")
    assert "private network" in given_up["problem"]
    assert given_up["tries"] == 1
    assert receiver.calls == []


async def test_a_redirect_is_not_followed(world: World, notifier: Process, receiver: Receiver) -> None:
    receiver.answer = lambda: 307
    account = await a_renter(world, receiver.url)
    await world.say(BILLING, a_quote(account))
    assert "307" in (await until(lambda: record(world, account, "failed"), "given up"))["problem"]


async def test_killed_after_the_receiver_took_it_the_same_webhook_id_comes_again(
    world: World, one: OneService, receiver: Receiver
) -> None:
    process = await one.running()
    account = await a_renter(world, receiver.url)

    def take_and_kill() -> int:
        if len(receiver.calls) == 1:
            process.kill()
        return 204

    receiver.answer = take_and_kill
    quote = a_quote(account)
    await world.say(BILLING, quote)
    await until(process.ended, "killed before it could record")
    await one.running()
    await until(lambda: record(world, account, "sent"), "told again and recorded")
    calls = receiver.of(quote.job)
    assert len(calls) == 2
    assert calls[0][0]["webhook-id"] == calls[1][0]["webhook-id"]
    assert calls[0][1] == calls[1][1]


class KillingServer:
    """An SMTP server that takes the first mail and kills the sender before saying so."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.victim: Process | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.taken.append(mail)
        if len(self.taken) == 1 and self.victim is not None:
            self.victim.kill()
        return "250 taken"


async def test_killed_after_the_mail_went_out_the_same_message_id_comes_again(world: World, one: OneService) -> None:
    loop, killing, port = asyncio.get_running_loop(), KillingServer(), free_port()
    server = await loop.create_server(lambda: SMTP(killing, hostname="localhost", loop=loop), "127.0.0.1", port)
    async with server:
        process = killing.victim = await one.running(FRAMELEND_SMTP_PORT=str(port))
        account = await a_renter(world)
        await world.say(BILLING, a_quote(account))
        await until(process.ended, "killed before it could record")
        await one.running(FRAMELEND_SMTP_PORT=str(port))
        await until(lambda: len(killing.taken) == 2 and settled(world, account), "mailed again and recorded")
        one.stop()
    assert killing.taken[0]["Message-ID"] == killing.taken[1]["Message-ID"]
