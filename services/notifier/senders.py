"""From a record to what goes out: the letter by mail, the signed event to the webhook."""

from contracts.bus import read
from services.chassis.clock import DatabaseClock
from services.notifier.domain.contact import Contact
from services.notifier.domain.delivery import Delivery, webhook_id
from services.notifier.domain.letters import letter
from services.notifier.mail import Mail
from services.notifier.repository import Contacts
from services.notifier.sending import Refused
from services.notifier.webhook import Call, Webhooks, body, secret
from services.notifier.work import Send


def by_mail(contacts: Contacts, mail: Mail, clock: DatabaseClock) -> Send:
    async def send(delivery: Delivery) -> None:
        contact = await _contact(contacts, delivery)
        words = letter(read(delivery.event_key, delivery.body.encode()))
        await mail.send(mail.message(delivery.fact, contact, words, await clock.now()))

    return send


def by_webhook(contacts: Contacts, webhooks: Webhooks, key: bytes, clock: DatabaseClock) -> Send:
    async def send(delivery: Delivery) -> None:
        contact = await _contact(contacts, delivery)
        if contact.webhook is None:
            raise Refused("the webhook was switched off")
        said = body(delivery.event_key, delivery.body)
        call = Call(contact.webhook, webhook_id(delivery.fact), said, await clock.now())
        await webhooks.send(call, secret(delivery.account, key))

    return send


async def _contact(contacts: Contacts, delivery: Delivery) -> Contact:
    contact = await contacts.get(delivery.account)
    if contact is None:
        raise Refused("the account is gone")
    return contact
