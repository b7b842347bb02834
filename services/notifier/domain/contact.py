"""Where a person wants to be told. Facts about it come in any order; the webhook's revision says which word is the last."""

from dataclasses import dataclass, replace

from contracts.events import AccountOpened, WebhookSet


@dataclass(frozen=True)
class Contact:
    """`email` is empty while only the webhook is known."""

    account: str
    email: str = ""
    name: str = ""
    webhook: str | None = None
    webhook_revision: int = 0


def opened(contact: Contact | None, event: AccountOpened) -> Contact:
    return replace(contact or Contact(event.account), email=event.email, name=event.name)


def webhook_set(contact: Contact | None, event: WebhookSet) -> Contact:
    contact = contact or Contact(event.account)
    if event.revision <= contact.webhook_revision:
        return contact
    return replace(contact, webhook=event.url, webhook_revision=event.revision)
