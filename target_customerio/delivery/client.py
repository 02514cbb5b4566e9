"""One request to Customer.io, and its answer or why there is none."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import HTTPBasicAuth

from target_customerio.delivery.deadlines import TimedAdapter
from target_customerio.delivery.response import Answer
from target_customerio.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_ANSWER = 4_000_000
"""Most bytes read of an answer; the longest one, a thousand errors, has fewer."""

_CHUNK = 65_536

_RETRYABLE = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class Unanswered(Exception):  # noqa: N818 - nothing is wrong with the request
    """No answer came; the request may or may not have arrived."""


def build_session(site_id: str, api_key: str, connections: int) -> requests.Session:
    """Make the session that carries every request.

    Proxies are taken from the environment; credentials never are, since the session
    has its own.

    Args:
        site_id: The user name of Track API credentials.
        api_key: Their password.
        connections: How many requests are in flight at most.

    Returns:
        The session; other transports can be mounted on it.
    """
    session = requests.Session()
    session.auth = HTTPBasicAuth(site_id.encode(), api_key.encode())
    session.headers.update(
        {
            "User-Agent": f"target-customerio/{version('target-customerio')}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
    )
    for scheme in ("https://", "http://"):
        session.mount(
            scheme, TimedAdapter(pool_connections=1, pool_maxsize=connections)
        )
    return session


class Client:
    """Sends requests to one server."""

    def __init__(
        self, session: requests.Session, url: str, timeout_seconds: float
    ) -> None:
        """Send nothing yet.

        Args:
            session: What carries the requests, credentials included.
            url: The base URL of the Track API.
            timeout_seconds: Longest wait for a connection, and for an answer.
        """
        self._session = session
        self._url = url.rstrip("/")
        # Which proxy and certificates are meant is not looked up for every request.
        settings = session.merge_environment_settings(
            self._url, proxies={}, stream=True, verify=None, cert=None
        )
        timeouts = (timeout_seconds, timeout_seconds)
        self._settings: dict[str, Any] = {**settings, "timeout": timeouts}
        self._blank = lru_cache(maxsize=64)(self._prepare)

    def exchange(self, method: str, path: str, body: bytes | None) -> Answer:
        """Send one request and read the answer.

        Args:
            method: The HTTP method.
            path: The path of the endpoint.
            body: The JSON to send, if any.

        Returns:
            The answer, whatever its status.

        Raises:
            Unanswered: When there is none.
            DeliveryError: When the request cannot even be sent.
        """
        try:
            # Straight to the transport: the session would follow redirects, or try to,
            # and keep cookies.
            transport = self._session.get_adapter(self._url)
            request = self._request(method, path, body)
            with transport.send(request, **self._settings) as response:
                return _read(response)
        except _RETRYABLE as error:
            raise Unanswered(_why(error)) from error
        except requests.RequestException as error:
            message = (
                f"Requests cannot be sent ({type(error).__name__}): check `api_url`."
            )
            raise DeliveryError(message) from error

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _request(
        self, method: str, path: str, body: bytes | None
    ) -> requests.PreparedRequest:
        """Fill in a request that is prepared once for each path, but for its body."""
        request = self._blank(method, path).copy()
        if body is not None:
            request.body = body
            request.headers["Content-Type"] = "application/json"
            request.headers["Content-Length"] = str(len(body))
        return request

    def _prepare(self, method: str, path: str) -> requests.PreparedRequest:
        return self._session.prepare_request(requests.Request(method, self._url + path))


def _read(response: requests.Response) -> Answer:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > LONGEST_ANSWER:
            break
    return Answer(response.status_code, response.headers, bytes(body))


def _why(error: BaseException) -> str:
    """Name the cause in a few words; the full text would quote URLs of proxies."""
    causes = list(_causes(error))
    if any(isinstance(cause, (requests.Timeout, TimeoutError)) for cause in causes):
        return "took too long"
    words = [
        cause.strerror
        for cause in causes
        if isinstance(cause, OSError) and cause.strerror
    ]
    return f"failed: {words[-1] if words else type(error).__name__}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what lies behind it, wrapped in whichever way."""
    cause: object = error
    seen: list[object] = []
    while isinstance(cause, BaseException) and not any(cause is each for each in seen):
        yield cause
        seen.append(cause)
        wrapped = [each for each in cause.args if isinstance(each, BaseException)]
        reason = getattr(cause, "reason", None)
        following = [reason, *wrapped, cause.__cause__, cause.__context__]
        cause = next(
            (each for each in following if isinstance(each, BaseException)), None
        )
