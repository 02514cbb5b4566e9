"""A transport for ``requests`` that ends in a workspace instead of a socket."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests import Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from target_customerio.errors import SandboxError
from target_customerio.sandbox import values
from target_customerio.sandbox.api import URLS, Answer, Api, Request, is_authorized
from target_customerio.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from requests import PreparedRequest

    from target_customerio.track_api.operations import JSON


class SandboxAdapter(BaseAdapter):
    """Customer.io behind a session, without network.

    Mounted on ``https://`` and ``http://``, it answers every request of the session,
    whatever the host, from several threads at once. The ``Authorization`` header is
    looked at and forgotten.
    """

    def __init__(
        self, path: str | Path, *, region: str = "us", email_updates: bool = False
    ) -> None:
        """Open the workspace.

        Args:
            path: The SQLite file; it is made if there is none.
            region: Where the workspace is said to live, ``us`` or ``eu``.
            email_updates: Whether the ``email`` of a person can be changed by their
                ``id``.

        Raises:
            SandboxError: When the path cannot be, or is not, a workspace.
        """
        super().__init__()
        if region not in URLS:
            message = f"region: must be one of {', '.join(URLS)}"
            raise SandboxError(message)
        self.workspace = Workspace(path, email_updates=email_updates)
        self._api = Api(self.workspace, region)

    def send(self, request: PreparedRequest, *_: JSON, **__: JSON) -> Response:
        """Answer a request out of the workspace.

        Args:
            request: The prepared request.

        Returns:
            The response, after what it says has been committed.
        """
        received_at = datetime.now(timezone.utc)
        address = urlsplit(request.url or "")
        answer = self._api.answer(
            Request(
                method=request.method or "",
                path=address.path,
                query=address.query,
                is_authorized=is_authorized(request.headers.get("Authorization")),
                body=_read(request.body),
                received_at=received_at,
            )
        )
        response = _respond(request, answer)
        response.elapsed = datetime.now(timezone.utc) - received_at
        return response

    def close(self) -> None:
        """Close the workspace; a session does so for each of its mounts."""
        self.workspace.close()


def _read(body: JSON) -> bytes:
    """Return a body of any kind that ``requests`` lets through."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else b"".join(body)


def _respond(request: PreparedRequest, answer: Answer) -> Response:
    content = values.encode(answer.body)
    response = Response()
    response.status_code = answer.status.value
    response.reason = answer.status.phrase
    response.headers = CaseInsensitiveDict(
        {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(content)),
        }
    )
    response.encoding = "utf-8"
    response.raw = io.BytesIO(content)
    response.url = request.url or ""
    response.request = request
    return response
