"""Connections whose answers arrive whole and within the time-out, or not at all.

The read time-out of `requests` bounds the silence between two pieces of an answer, so
that a server that sends one byte now and then could hold a request for ever. Here the
same time-out bounds the answer as a whole, headers and body.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket

    from urllib3 import PoolManager, ProxyManager


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
