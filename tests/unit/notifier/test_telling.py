"""What is told, in which words, under which id, and to which addresses never."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from contracts.events import (
    AccountOpened,
    DeadlineMissed,
    HoldRefused,
    JobFailed,
    JobInspected,
    JobQuoted,
    JobSettled,
    WebhookSet,
)
from contracts.values import Band, Feasibility, FrameRange, Outlook, PriceLine
from services.notifier.app import Settings
from services.notifier.domain import contact, delivery
from services.notifier.domain.addresses import is_public
from services.notifier.domain.contact import Contact
from services.notifier.domain.delivery import TABLE, Channel, Delivery, IllegalMove, Progress
from services.notifier.domain.facts import Told, channels, fact, is_worth_telling
from services.notifier.domain.letters import letter
from services.notifier.mail import Mail, Server
from services.notifier.sending import Refused
from services.notifier.webhook import Call, body, headers, secret

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = b"k" * 32


def a_quote(version: int = 1, within: bool = True) -> JobQuoted:
    band = Band(low=60, expected=600, high=900)
    return JobQuoted(
        job="j1",
        account="ada",
        version=version,
        price_micro=2_500_000,
        lines=(PriceLine(code="rendering", text="8 frames", amount_micro=2_500_000),),
        micro_wu=band,
        seconds=band,
        expires_at=NOW,
        within_max_cost=within,
    )


def a_miss(hours: int = 1) -> DeadlineMissed:
    band = Band(low=60, expected=600, high=900)
    deadline = NOW + timedelta(hours=hours)
    return DeadlineMissed(job="j1", account="ada", deadline=deadline, lacking=5, remaining_seconds=band)


def test_a_missed_deadline_is_mailed_once_for_each_deadline_with_what_is_left() -> None:
    told = letter(a_miss())
    assert "2026-01-01 01:00 UTC" in told.paragraphs[0]
    assert "5 frames are not stored yet. They will take about 10 min more." in told.paragraphs[0]
    assert fact(a_miss()) == fact(a_miss()) != fact(a_miss(2))
    assert channels(a_miss()) == (Channel.MAIL, Channel.WEBHOOK)


def test_a_quote_says_whether_its_deadline_can_be_kept() -> None:
    outlook = Outlook(feasibility=Feasibility.IMPOSSIBLE, deadline=NOW, earliest=NOW + timedelta(hours=2))
    words = " ".join(letter(a_quote().model_copy(update={"outlook": outlook})).paragraphs)
    assert "Your deadline of 2026-01-01 00:00 UTC cannot be kept" in words
    assert "could be done at 2026-01-01 02:00 UTC" in words


def an_invoice(charged: int = 1_500_000) -> JobSettled:
    return JobSettled(
        job="j1",
        account="ada",
        outcome="completed",
        held_micro=2_000_000,
        charged_micro=charged,
        released_micro=2_000_000 - charged,
        lines=(),
        frames=(FrameRange(first=1, last=8),),
    )


def a_refusal(version: int, available: int = 1) -> HoldRefused:
    return HoldRefused(job="j1", account="ada", version=version, needed_micro=2, available_micro=available, text="Top up.")


def a_delivery(tries: int = 0, progress: Progress = Progress.DUE) -> Delivery:
    return Delivery("job.settled.v1:j1", Channel.MAIL, "ada", "job.settled.v1", "{}", NOW, progress=progress, tries=tries)


def a_mail() -> Mail:
    return Mail(Server("localhost", 25, "farm@example.org"))


def test_facts_of_one_job_have_different_ids_and_the_same_fact_the_same() -> None:
    events: list[Told] = [a_quote(1), a_quote(2), an_invoice(), a_refusal(1), a_refusal(1, available=9), a_refusal(2)]
    assert len({fact(event) for event in events}) == len(events)
    assert fact(a_quote()) == fact(a_quote().model_copy(update={"price_micro": 1}))
    assert len({delivery.message_id(fact(event), "x") for event in events}) == len(events)
    assert len({delivery.webhook_id(fact(event)) for event in events}) == len(events)


def test_what_is_mailed_otherwise_or_is_no_news_goes_to_the_webhook_only() -> None:
    assert channels(an_invoice(charged=0)) == channels(a_refusal(0)) == (Channel.WEBHOOK,)
    assert channels(an_invoice()) == channels(a_refusal(1)) == (Channel.MAIL, Channel.WEBHOOK)


def test_an_accepted_inspection_is_no_news() -> None:
    inspected = JobInspected(job="j1", account="ada", accepted=True, findings=())
    assert not is_worth_telling(inspected)
    assert is_worth_telling(inspected.model_copy(update={"accepted": False}))


def test_a_letter_says_what_to_do_next() -> None:
    quote = letter(a_quote())
    assert "2.50 credits" in quote.subject
    assert any("framelend accept j1" in words and "about 10 min" in words for words in quote.paragraphs)
    failed = letter(JobFailed(job="j1", account="ada", code="c", reason="No camera.", hint="Add one.", log_tail="Error: x"))
    assert failed.paragraphs[:2] == ("No camera.", "Add one.")
    assert failed.tail == "Error: x"


def test_a_mail_is_text_and_html_and_escapes_what_strangers_wrote() -> None:
    failed = JobFailed(job="j1", account="ada", code="c", reason="<script>alert(1)</script>", log_tail="<b>")
    mail = a_mail().message("f:1", Contact("ada", "ada@example.org", "<i>Ada</i>"), letter(failed), NOW)
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "<i>" not in html.get_content()
    text = mail.get_body(("plain",))
    assert text is not None
    assert "<script>alert(1)</script>" in text.get_content()


def test_a_name_or_an_address_cannot_add_a_header() -> None:
    named = a_mail().message("f:1", Contact("ada", "ada@example.org", "Ada\r\nBcc: eve@example.org"), letter(an_invoice()), NOW)
    assert named["Bcc"] is None
    assert [address.addr_spec for address in named["To"].addresses] == ["ada@example.org"]
    with pytest.raises(Refused):
        a_mail().message("f:1", Contact("ada", "ada@example.org\r\nBcc: eve@example.org"), letter(an_invoice()), NOW)


@pytest.mark.parametrize("email", ["", "no-at", "ada@example.org, eve@example.org", "ada@", "a b@example.org"])
def test_what_is_not_one_address_is_never_mailed(email: str) -> None:
    with pytest.raises(Refused):
        a_mail().message("f:1", Contact("ada", email), letter(an_invoice()), NOW)


def test_the_newest_word_on_a_webhook_counts_in_any_order() -> None:
    first, second = (WebhookSet(account="ada", url=url, revision=at) for at, url in ((1, "http://a"), (2, None)))
    late = contact.webhook_set(contact.webhook_set(None, second), first)
    assert late.webhook is None
    opened = contact.opened(late, AccountOpened(account="ada", email="ada@example.org"))
    assert (opened.email, opened.webhook_revision) == ("ada@example.org", 2)


def test_what_was_given_up_has_all_its_tries_again_and_nothing_else_has() -> None:
    given_up = a_delivery(tries=7, progress=Progress.FAILED)
    one = delivery.again(given_up, NOW)
    assert (one.progress, one.tries, one.due_at) == (Progress.DUE, 0, NOW)
    for progress in set(Progress) - {Progress.FAILED}:
        assert delivery.again(a_delivery(3, progress), NOW) == a_delivery(3, progress)


def test_tellings_are_tried_for_a_week() -> None:
    waits = Settings.model_fields["retry_seconds"].default
    assert timedelta(days=7) < timedelta(seconds=sum(waits)) < timedelta(days=8)


def test_every_progress_has_its_row_and_an_ended_one_stays_ended() -> None:
    assert set(TABLE) == set(Progress)
    for ended in (Progress.SENT, Progress.FAILED):
        assert not delivery.is_open(a_delivery(progress=ended), NOW)
        with pytest.raises(IllegalMove):
            delivery.taken(a_delivery(progress=ended), NOW, timedelta(seconds=1))


def test_a_lease_that_ran_out_is_taken_again_and_a_running_one_is_not() -> None:
    mine = delivery.taken(a_delivery(), NOW, timedelta(seconds=60))
    assert not delivery.is_open(mine, NOW + timedelta(seconds=59))
    assert delivery.is_open(mine, NOW + timedelta(seconds=60))


def test_tries_wait_longer_and_longer_and_then_end() -> None:
    one, due = a_delivery(), []
    for _ in range(2):
        one = delivery.failed(delivery.taken(one, NOW, timedelta()), "500", (5, 30), NOW)
        due.append((one.due_at - NOW).total_seconds())
    assert due == [5, 30]
    assert delivery.failed(delivery.taken(one, NOW, timedelta()), "500", (5, 30), NOW).progress is Progress.FAILED
    assert (
        delivery.failed(delivery.taken(a_delivery(), NOW, timedelta()), "gone", (5,), NOW, final=True).progress is Progress.FAILED
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_addresses_only_we_can_reach_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_world_are_public(address: str) -> None:
    assert is_public(address)


def test_a_body_is_the_same_at_every_try_and_its_signature_is_the_tries_own() -> None:
    said = body(a_quote().key(), a_quote().model_dump_json(exclude_none=True))
    assert said == body(a_quote().key(), a_quote().model_dump_json(exclude_none=True))
    calls = [Call("http://x", "msg_1", said, datetime.now(UTC) - timedelta(seconds=ago)) for ago in (0, 30)]
    signed = [headers(call, secret("ada", KEY)) for call in calls]
    assert signed[0]["webhook-signature"] != signed[1]["webhook-signature"]
    for one in signed:
        assert Webhook(secret("ada", KEY)).verify(said, one)["type"] == "job.quoted.v1"


def test_accounts_have_different_secrets() -> None:
    assert secret("ada", KEY) != secret("bob", KEY)
    assert secret("ada", KEY) != secret("ada", b"o" * 32)
    assert secret("ada", KEY).startswith("whsec_")


def test_a_quote_over_the_renters_limit_says_first_how_to_raise_it() -> None:
    """Words that stand first must work first: to accept such a quote is refused."""
    said = letter(a_quote(within=False)).paragraphs
    assert "over the limit" in said[0]
    assert "framelend job set j1 --max-cost 2.50" in said[0]
    assert not any("submit" in words for words in said)
    assert not any("--max-cost" in words for words in letter(a_quote()).paragraphs)


def test_a_further_price_says_why_what_it_is_about_and_what_no_answer_means() -> None:
    left = {"reason": "frames took 50 % more", "left_frames": 40, "left_micro": 900_000, "left_before_micro": 600_000}
    said = letter(a_quote(2).model_copy(update=left))
    assert "your answer is needed" in said.subject
    assert ("The 40 frames left", "0.90 credits") in said.rows
    assert ("At the price you accepted", "0.60 credits") in said.rows
    assert "frames took 50 % more" in said.paragraphs[0]
    assert "framelend accept j1" in said.paragraphs[1]
    assert "No answer means the same" in said.paragraphs[2]
    over = letter(a_quote(2, within=False).model_copy(update=left))
    assert not any("framelend accept" in one for one in over.paragraphs)
