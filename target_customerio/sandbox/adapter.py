"""A transport for ``requests``: a workspace answers instead of a socket."""

from __future__ import annotations

import base64
import binascii
import io
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests import Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from target_customerio.errors import SandboxError
from target_customerio.json_codec import encode
from target_customerio.sandbox.endpoints import Request, answer
from target_customerio.sandbox.workspace import Workspace
from target_customerio.track_api.endpoints import URLS
from target_customerio.track_api.responses import REPEATS_HEADER

if TYPE_CHECKING:
    from pathlib import Path

    from requests import PreparedRequest

    from target_customerio.sandbox.endpoints import Answer
    from target_customerio.sandbox.observation import Observation
    from target_customerio.track_api.operations import JSON


class SandboxAdapter(BaseAdapter):
    """Answers the requests of a session from a workspace, without network.

    Mount it on ``https://`` and ``http://``; it then answers every request of the
    session, whatever the host, and can be used by several threads at once. Credentials
    are checked for presence and never stored.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        region: str = "us",
        email_updates: bool = False,
        as_copy: bool = False,
    ) -> None:
        """Open the workspace.

        Args:
            path: The SQLite file; created if it does not exist.
            region: Region that the workspace reports, ``us`` or ``eu``.
            email_updates: Whether an identify by ``id`` may change the person's
                ``email`` (workspace setting "Allow updates to email using ID").
            as_copy: Whether requests change a temporary copy of the file, for a plan.

        Raises:
            SandboxError: The region is unknown, or the file cannot be used.
        """
        super().__init__()
        if region not in URLS:
            message = f"region: must be one of {', '.join(URLS)}"
            raise SandboxError(message)
        self.workspace = Workspace(path, email_updates=email_updates, as_copy=as_copy)
        self._region = region
        self._observation: Observation | None = None

    def send(self, request: PreparedRequest, *_: JSON, **__: JSON) -> Response:
        """Answer a request from the workspace.

        Args:
            request: The prepared request.

        Returns:
            The response. Its changes are already committed.

        Raises:
            SandboxError: The workspace file cannot be written.
        """
        received_at = datetime.now(timezone.utc)
        url = urlsplit(request.url or "")
        received = Request(
            method=request.method or "",
            path=url.path,
            query=url.query,
            is_authorized=_is_authorized(request.headers.get("Authorization")),
            body=_read(request.body),
            received_at=received_at,
        )
        response = _response(request, answer(self.workspace, self._region, received))
        response.elapsed = datetime.now(timezone.utc) - received_at
        return response

    def observe(self) -> Observation:
        """Observe people, before and after a run, until the adapter is closed.

        Raises:
            SandboxError: The workspace file cannot be written.
        """
        # Only runs with a report need it.
        from target_customerio.sandbox.observation import Observation  # noqa: PLC0415

        self._observation = Observation(self.workspace)
        return self._observation

    def close(self) -> None:
        """Close the workspace. A session calls this once per mount."""
        if self._observation is not None:
            self._observation.end()
        self.workspace.close()


def _is_authorized(header: str | bytes | None) -> bool:
    """Return whether the header holds basic authentication with any site and key.

    Source: "Authentication": "Our Tracking API uses HTTP basic authorization".
    """
    text = header.decode("latin-1") if isinstance(header, bytes) else header or ""
    scheme, _, credentials = text.partition(" ")
    try:
        site, _, key = base64.b64decode(credentials).partition(b":")
    except binascii.Error:
        return False
    return scheme.lower() == "basic" and bool(site and key)


def _read(body: Any) -> bytes:  # noqa: ANN401 - as in requests
    """Return the bytes of any body that ``requests`` accepts."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else b"".join(body)


def _response(request: PreparedRequest, sent: Answer) -> Response:
    content = encode(sent.body)
    response = Response()
    response.status_code = sent.status.value
    response.reason = sent.status.phrase
    response.headers = CaseInsensitiveDict(
        {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(content)),
        }
    )
    if sent.repeats:
        response.headers[REPEATS_HEADER] = " ".join(map(str, sent.repeats))
    response.encoding = "utf-8"
    response.raw = io.BytesIO(content)
    response.url = request.url or ""
    response.request = request
    return response
