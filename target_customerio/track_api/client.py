"""One request to Customer.io, and its answer or why there is none."""

from __future__ import annotations

import http.client
import io
import time
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from target_customerio.errors import DeliveryError
from target_customerio.track_api.endpoints import URLS, wrong_region
from target_customerio.track_api.responses import (
    Answer,
    Delivered,
    Fatal,
    Outcome,
    RetryAfter,
    classify,
    decoded,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from urllib3 import PoolManager, ProxyManager


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


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._has_waited = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        # The first time, the socket's own time-out is the time that is left.
        if self._deadline is not None and self._has_waited:
            left = self._deadline - time.monotonic()
            if left <= 0:
                message = "the answer took too long"
                raise TimeoutError(message)
            self._sock.settimeout(left)
        self._has_waited = True
        return self._file.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _WholeLines(io.BufferedReader):
    """Reads lines that have an end.

    The standard library takes the end of the connection for the end of the headers, and
    so a cut answer for one without a body, which would look like a success.
    """

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(-1 if size is None else size)
        is_whole = line.endswith(b"\n") or len(line) == size
        if not is_whole:
            message = "the answer was cut"
            raise ConnectionResetError(message)
        return line


class _TimedResponse(http.client.HTTPResponse):
    """An answer that is read until a deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = _WholeLines(_TimedReader(sock))


class _Connection(HTTPConnection):
    response_class = _TimedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class TimedAdapter(HTTPAdapter):
    """The transport of `requests`, with the read time-out for the whole answer."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests'
        """Make the pools of direct connections.

        Args:
            args: What `requests` gives.
            kwargs: What `requests` gives.
        """
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(
        self,
        proxy: str,
        **kwargs: Any,  # noqa: ANN401 - requests'
    ) -> PoolManager | ProxyManager:
        """Make the pools of connections through a proxy.

        Args:
            proxy: The proxy's URL.
            kwargs: What `requests` gives.

        Returns:
            The manager of the pools.
        """
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


PATH = "/api/v1/accounts/region"


def judge(answer: Answer, region: str) -> Outcome:
    """Tell what the answer to the question for the region means.

    Args:
        answer: The answer.
        region: The region that the settings name.

    Returns:
        ``Delivered`` when everything is in order, else what to do about it.
    """
    if answer.status == HTTPStatus.OK:
        return _compared(answer, region)
    outcome = classify(answer, 0)
    if isinstance(outcome, (RetryAfter, Fatal)):
        return outcome
    return Fatal(_not_customerio(f"HTTP {answer.status}"))


def workspace_of(answer: Answer) -> int | None:
    """Tell which workspace the credentials belong to.

    Args:
        answer: The answer to the question for the region.

    Returns:
        The workspace's number, or ``None`` where the answer does not have it.
    """
    content = decoded(answer.body)
    told = content.get("environment_id") if isinstance(content, dict) else None
    return told if type(told) is int else None


def _compared(answer: Answer, region: str) -> Outcome:
    try:
        content = decoded(answer.body)
    except ValueError:
        return Fatal(_not_customerio("no JSON"))
    told = content.get("region") if isinstance(content, dict) else None
    if told == region:
        return Delivered()
    if isinstance(told, str) and told in URLS:
        return Fatal(wrong_region(told))
    return Fatal(_not_customerio("no region"))


def _not_customerio(what: str) -> DeliveryError:
    return DeliveryError(
        f"The server answered the question for the workspace's region with {what},"
        " which Customer.io's Track API does not: check `api_url`."
    )
