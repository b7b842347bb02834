"""What the notifier hears: where people are to be told, and what.

A fact becomes one record per channel; sending is the worker's.
"""

from typing import Any

from contracts.events import (
    AccountOpened,
    DeadlineMissed,
    HoldRefused,
    JobCancelled,
    JobFailed,
    JobInspected,
    JobPackaged,
    JobQuoted,
    JobSettled,
    WebhookSet,
)
from contracts.topology import NOTIFIER
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import NotYet
from services.notifier.domain.delivery import Channel, Delivery
from services.notifier.domain.facts import Told, channels, fact, is_worth_telling
from services.notifier.repository import Contacts, Deliveries

TOLD = (JobQuoted, HoldRefused, JobInspected, JobFailed, JobCancelled, JobPackaged, JobSettled, DeadlineMissed)


def routes(contacts: Contacts, deliveries: Deliveries) -> Inboxes:
    inboxes = Inboxes(NOTIFIER)

    @inboxes.on(AccountOpened)
    async def on_account_opened(event: AccountOpened) -> None:
        await contacts.opened(event)

    @inboxes.on(WebhookSet)
    async def on_webhook_set(event: WebhookSet) -> None:
        await contacts.webhook_set(event)

    async def on_told(event: Any) -> None:
        if is_worth_telling(event):
            await _record(contacts, deliveries, event)

    for told in TOLD:
        inboxes.on(told)(on_told)
    return inboxes


async def _record(contacts: Contacts, deliveries: Deliveries, event: Told) -> None:
    contact = await contacts.get(event.account)
    if contact is None:
        raise NotYet(f"account {event.account} is not known")
    now = await deliveries.saved.now()
    wanted = [channel for channel in channels(event) if channel is Channel.MAIL or contact.webhook]
    await deliveries.add(
        [
            Delivery(
                fact=fact(event),
                channel=channel,
                account=event.account,
                event_key=event.key(),
                body=event.model_dump_json(exclude_none=True),
                due_at=now,
                job=event.job,
            )
            for channel in wanted
        ]
    )
