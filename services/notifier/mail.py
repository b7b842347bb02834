"""Mail out: a letter as multipart text and HTML over SMTP, under the id that follows from its fact."""

import re
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

import aiosmtplib
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.notifier.domain.contact import Contact
from services.notifier.domain.delivery import message_id
from services.notifier.domain.letters import Letter
from services.notifier.sending import Refused, Unsent

SECONDS = 20
WIRE = policy.SMTP.clone(max_line_length=200)
"""Long enough that a Message-ID stands on one line, where people search for it."""
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""One address, in ASCII, as HTML forms have it: what this lets through can neither be two nor add a header."""
Security = Literal["none", "starttls", "tls"]


@dataclass(frozen=True)
class Server:
    """An SMTP server and whom we are to it."""

    host: str
    port: int
    sender: str
    security: Security = "none"
    username: str | None = None
    password: str | None = None

    @property
    def domain(self) -> str:
        return self.sender.rpartition("@")[2]


class Mail:
    def __init__(self, server: Server) -> None:
        self._server = server
        loader = PackageLoader("services.notifier")
        pages = Environment(loader=loader, undefined=StrictUndefined, autoescape=select_autoescape(("html",)))
        self._text, self._html = pages.get_template("letter.txt"), pages.get_template("letter.html")

    def message(self, fact: str, contact: Contact, letter: Letter, at: datetime) -> EmailMessage:
        """Raises Refused for an address that no mail can carry."""
        if not _ADDRESS.fullmatch(contact.email):
            raise Refused("the account has no address that a mail can carry")
        message, name = EmailMessage(), " ".join(contact.name.split())
        message["From"] = Address("Framelend", addr_spec=self._server.sender)
        message["To"] = Address(name, addr_spec=contact.email)
        message["Subject"] = letter.subject
        message["Message-ID"] = message_id(fact, self._server.domain)
        message["Date"] = format_datetime(at)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self._text.render(letter=letter, name=name), cte="quoted-printable")
        message.add_alternative(self._html.render(letter=letter, name=name), subtype="html", cte="quoted-printable")
        return message

    async def send(self, message: EmailMessage) -> None:
        """Raises Refused when the server says never, Unsent when it may go later."""
        try:
            await aiosmtplib.send(
                message.as_bytes(policy=WIRE),
                sender=self._server.sender,
                recipients=[str(message["To"].addresses[0].addr_spec)],
                hostname=self._server.host,
                port=self._server.port,
                username=self._server.username,
                password=self._server.password,
                use_tls=self._server.security == "tls",
                start_tls=self._server.security == "starttls",
                timeout=SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as refused:
            codes = [one.code for one in refused.recipients]
            raise (Refused if all(code >= 500 for code in codes) else Unsent)(f"recipient refused: {codes}") from refused
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as problem:
            raise Unsent(f"{type(problem).__name__}: {problem}") from problem
