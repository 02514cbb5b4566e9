"""The transport of `requests`, stricter about responses."""

from __future__ import annotations

import http.client
import io
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket

    from urllib3 import PoolManager, ProxyManager


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

    def read(self, size: int | None = -1, /) -> bytes:
        """Read no more than asked for: a response may be endless."""
        if size is None or size < 0:
            message = "the response has no length"
            raise ConnectionResetError(message)
        return super().read(size)


class _DeadlineResponse(http.client.HTTPResponse):
    """A response that is read until a deadline.

    A later request never gets the rest of it: where the end of a response is not clear,
    the connection is closed.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = _CompleteLines(_DeadlineReader(sock))

    def begin(self) -> None:
        """Read status and headers of the final response."""
        super().begin()
        lengths = {
            length.strip()
            for each in self.headers.get_all("Content-Length", [])
            for length in each.split(",")
        }
        if len(lengths) > 1:
            message = "the response has two lengths"
            raise http.client.HTTPException(message)
        has_body = bool(lengths - {"0"}) or "Transfer-Encoding" in self.headers
        if (self.length == 0 and has_body) or (self.chunked and lengths):
            self.will_close = True

    def _read_status(self) -> tuple[str, int, str]:
        """Skip interim responses; http.client does so for 100 alone."""
        while True:
            # Part of http.client, though not public: there is no other place.
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                message = "the response switches to another protocol"
                raise http.client.HTTPException(message)
            if status >= HTTPStatus.OK:
                return version, status, reason
            http.client.parse_headers(self.fp)


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
