"""HTTP requests to Customer.io."""

from __future__ import annotations

import zlib
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth
from urllib3 import BaseHTTPResponse
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
from target_customerio.track_api.transport import DeadlineAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator


MAX_RESPONSE_BYTES: Final = 4_000_000
"""Maximum bytes read of a response; a thousand errors have fewer."""

_CHUNK_BYTES: Final = 65_536

_ZLIB_ENCODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
"""Encodings that some proxies use although `identity` is asked for."""

_ZLIB_OR_GZIP: Final = zlib.MAX_WBITS | 32

_ERRORS: Final = (OSError, HTTPError, UnicodeError, TypeError)
"""What `requests` raises: its own errors, and what it does not wrap, such as those for
some malformed proxy URLs."""

_RETRYABLE: Final = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class NoResponseError(Exception):
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
            NoResponseError: No response was received.
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
            return NoResponseError(describe(error))
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
    for chunk in _raw_chunks(response):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            break
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in _ZLIB_ENCODINGS:
        body = bytearray(_decompress(bytes(body)))
    return Response(response.status_code, response.headers, bytes(body))


def _raw_chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as it is: urllib3 would decompress a chunk to any size."""
    if not isinstance(response.raw, BaseHTTPResponse):  # of another transport
        yield from response.iter_content(_CHUNK_BYTES)
        return
    try:
        yield from response.raw.stream(_CHUNK_BYTES, decode_content=False)
    except (HTTPError, ValueError) as error:  # ValueError: chunks of a negative size
        raise requests.exceptions.ChunkedEncodingError(error) from error


def _decompress(body: bytes) -> bytes:
    """Decompress up to the maximum; what is not valid is returned as it is."""
    try:
        decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
        return decompressor.decompress(body, MAX_RESPONSE_BYTES + 1)
    except zlib.error:
        return body


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
