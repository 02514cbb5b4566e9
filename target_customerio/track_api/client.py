"""HTTP requests to Customer.io."""

from __future__ import annotations

import http.client
import io
import time
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from target_customerio.errors import DeliveryError
from target_customerio.track_api.connection_faults import describe, permanent_fault
from target_customerio.track_api.endpoints import URLS, is_loopback, wrong_region_error
from target_customerio.track_api.responses import (
    Delivered,
    Fatal,
    Outcome,
    Response,
    Retry,
    classify,
    decode_body,
)

if TYPE_CHECKING:
    import socket

    from urllib3 import PoolManager, ProxyManager


MAX_RESPONSE_BYTES: Final = 4_000_000
"""Maximum bytes read of a response; a thousand errors have fewer."""

_CHUNK_BYTES: Final = 65_536

_ERRORS: Final = (OSError, HTTPError, UnicodeError, TypeError)
"""What `requests` raises: its own errors, and what it does not wrap, such as those for
some malformed proxy URLs."""

_RETRYABLE: Final = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class NoResponse(Exception):  # noqa: N818 - the request itself may be correct
    """No response was received; the request may or may not have arrived."""


def build_session(site_id: str, api_key: str, connections: int) -> requests.Session:
    """Create the session for all requests.

    Proxies come from the environment; credentials never do.

    Args:
        site_id: User name of the Track API credentials.
        api_key: Password of the Track API credentials.
        connections: Maximum concurrent requests.

    Returns:
        The session; another transport can be mounted on it.
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
            scheme, DeadlineAdapter(pool_connections=1, pool_maxsize=connections)
        )
    return session


class Client:
    """Sends requests to one server."""

    def __init__(
        self, session: requests.Session, url: str, timeout_seconds: float
    ) -> None:
        """Send nothing yet.

        Args:
            session: The session, with the credentials.
            url: Base URL of the Track API.
            timeout_seconds: Timeout of a connection, and of a whole response, in
                seconds.
        """
        self._session = session
        self._url = url.rstrip("/")
        # Looks up proxies and certificates once, not for every request.
        settings = session.merge_environment_settings(
            self._url, proxies={}, stream=True, verify=None, cert=None
        )
        if is_loopback(urlsplit(self._url).hostname):
            settings["proxies"] = {}
        timeouts = (timeout_seconds, timeout_seconds)
        self._settings: dict[str, Any] = {**settings, "timeout": timeouts}
        self._prepared = lru_cache(maxsize=64)(self._prepare)
        self._has_responded = False

    def send(self, method: str, path: str, body: bytes | None) -> Response:
        """Send one request.

        Args:
            method: The HTTP method.
            path: The path, with the query.
            body: JSON to send, if any.

        Returns:
            The response, whatever its status.

        Raises:
            NoResponse: No response was received.
            DeliveryError: The request cannot be sent.
        """
        try:
            # Bypasses the session, which would follow redirects and keep cookies.
            transport = self._session.get_adapter(self._url)
            request = self._request(method, path, body)
            with transport.send(request, **self._settings) as response:
                received = _read(response)
        except _ERRORS as error:
            raise self._failure(error) from error
        self._has_responded = True
        return received

    def _failure(self, error: Exception) -> Exception:
        """Return the exception for a request that got no response."""
        # Once a server has responded, certificates and proxies are set up correctly.
        fault = None
        if not self._has_responded:
            fault = permanent_fault(error, self._url, self._settings)
        if fault is None and isinstance(error, _RETRYABLE):
            return NoResponse(describe(error))
        if fault is None and isinstance(error, requests.RequestException):
            fault = DeliveryError(
                f"Requests cannot be sent ({type(error).__name__}): check `api_url`"
            )
        return fault or error

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _request(
        self, method: str, path: str, body: bytes | None
    ) -> requests.PreparedRequest:
        """Copy the request prepared for the path and add the body."""
        request = self._prepared(method, path).copy()
        if body is not None:
            request.body = body
            request.headers["Content-Type"] = "application/json"
            request.headers["Content-Length"] = str(len(body))
        return request

    def _prepare(self, method: str, path: str) -> requests.PreparedRequest:
        return self._session.prepare_request(requests.Request(method, self._url + path))


def _read(response: requests.Response) -> Response:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            break
    return Response(response.status_code, response.headers, bytes(body))


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._has_read = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        # For the first read, the socket's own timeout is the remaining time.
        if self._deadline is not None and self._has_read:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                message = "the response timed out"
                raise TimeoutError(message)
            self._sock.settimeout(remaining)
        self._has_read = True
        return self._file.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _CompleteLines(io.BufferedReader):
    """Reads lines and raises if the connection ends within one.

    http.client takes the end of the connection for the end of the headers, so it would
    take a truncated response for a success without a body.
    """

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(-1 if size is None else size)
        is_complete = line.endswith(b"\n") or len(line) == size
        if not is_complete:
            message = "the response was truncated"
            raise ConnectionResetError(message)
        return line


class _DeadlineResponse(http.client.HTTPResponse):
    """A response that is read until a deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = _CompleteLines(_DeadlineReader(sock))


class _Connection(HTTPConnection):
    response_class = _DeadlineResponse


class _SecureConnection(HTTPSConnection):
    response_class = _DeadlineResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class DeadlineAdapter(HTTPAdapter):
    """The transport of `requests`, with the read timeout for the whole response."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests'
        """Create the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(
        self,
        proxy: str,
        **kwargs: Any,  # noqa: ANN401 - requests'
    ) -> PoolManager | ProxyManager:
        """Create the pools of connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


REGION_PATH: Final = "/api/v1/accounts/region"


def classify_region(response: Response, region: str) -> Outcome:
    """Return what a response to the region check means."""
    if response.status == HTTPStatus.OK:
        return _compare_region(response, region)
    outcome = classify(response, 0)
    if isinstance(outcome, (Retry, Fatal)):
        return outcome
    return Fatal(_not_customerio(f"HTTP {response.status}"))


def environment_id(response: Response) -> int | None:
    """Return the workspace's id in the response to the region check, if any."""
    content = decode_body(response.body)
    value = content.get("environment_id") if isinstance(content, dict) else None
    return value if type(value) is int else None


def _compare_region(response: Response, region: str) -> Outcome:
    try:
        content = decode_body(response.body)
    except ValueError:
        return Fatal(_not_customerio("a response that is not JSON"))
    actual = content.get("region") if isinstance(content, dict) else None
    if actual == region:
        return Delivered()
    if isinstance(actual, str) and actual in URLS:
        return Fatal(wrong_region_error(actual))
    return Fatal(_not_customerio("a response without a region"))


def _not_customerio(received: str) -> DeliveryError:
    return DeliveryError(
        f"The server is not Customer.io's Track API (region check got {received}):"
        " check `api_url`"
    )
