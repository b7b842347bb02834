"""Settings and wiring of the notifier."""

from datetime import timedelta

from pydantic import SecretStr

from services.chassis.service import Ground, Service
from services.chassis.settings import ServiceSettings
from services.notifier.domain.delivery import Channel
from services.notifier.handlers import routes
from services.notifier.mail import Mail, Security, Server
from services.notifier.repository import Contacts, Deliveries
from services.notifier.senders import by_mail, by_webhook
from services.notifier.webhook import Webhooks
from services.notifier.work import Worker


class Settings(ServiceSettings):
    """`webhook_key` is hex; intake derives the same secrets from it."""

    smtp_host: str
    smtp_port: int = 25
    smtp_security: Security = "none"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: str
    webhook_key: SecretStr
    webhook_allow_private: bool = False
    """Only for a farm whose renters are the operator himself: lets webhooks reach addresses inside his network."""
    lease_seconds: float = 60.0
    """Longer than any sending takes; after a crash a record waits this long to be told again."""
    retry_seconds: tuple[float, ...] = (5, 30, 120, 600, 3_600, 21_600, *(86_400,) * 7)
    """Over a week in all: a mail server is away for a weekend. Then it is given up, which an alert says."""

    @property
    def server(self) -> Server:
        password = self.smtp_password.get_secret_value() if self.smtp_password else None
        return Server(self.smtp_host, self.smtp_port, self.mail_from, self.smtp_security, self.smtp_username, password)


def deliveries_of(ground: Ground, settings: Settings) -> Deliveries:
    return Deliveries(ground, timedelta(seconds=settings.lease_seconds), settings.retry_seconds)


async def build(ground: Ground) -> Service:
    settings = ground.settings
    assert isinstance(settings, Settings)
    contacts = Contacts(ground)
    deliveries = deliveries_of(ground, settings)
    webhooks = Webhooks(settings.webhook_allow_private)
    key = bytes.fromhex(settings.webhook_key.get_secret_value())
    worker = Worker(
        deliveries,
        {
            Channel.MAIL: by_mail(contacts, Mail(settings.server), ground.clock),
            Channel.WEBHOOK: by_webhook(contacts, webhooks, key, ground.clock),
        },
    )
    return Service(
        inboxes=routes(contacts, deliveries),
        repositories=(contacts.saved, deliveries.saved),
        sweeps=worker.sweeps(),
        prepare=deliveries.ensure_indexes,
        closing=(webhooks.close, worker.stop),
    )
