"""A mail server on loopback that keeps what it gets."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from .command import free_port

if TYPE_CHECKING:
    from typing_extensions import Self


class MailServer:
    """The server, and the mails it got.

    Attributes:
        mails: The mails.
        port: Its port.
    """

    def __init__(self) -> None:
        """Do not listen yet."""
        self.mails: list[EmailMessage] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(  # noqa: N802 - a name of aiosmtpd
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        parser = BytesParser(EmailMessage, policy=email.policy.default)
        self.mails.append(parser.parsebytes(envelope.content))
        return "250 OK"


def attachments(mail: EmailMessage) -> dict[str, str]:
    """Return the attachments by name."""
    return {part.get_filename() or "": _text(part) for part in mail.iter_attachments()}


def _text(part: Any) -> str:
    content: bytes | str = part.get_content()
    return content.decode() if isinstance(content, bytes) else content


def text_of(mail: EmailMessage) -> str:
    """Return what a reader sees."""
    body = mail.get_body(("html", "plain"))
    assert body is not None
    text: str = body.get_content()
    return text
