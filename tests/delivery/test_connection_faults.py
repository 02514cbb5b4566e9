"""Certificates and proxies: faults that another try does not remove end the run."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import support
from support.command import refusing_port

from target_customerio.delivery import Client, build_session
from target_customerio.errors import DeliveryError
from target_customerio.track_api.client import NoResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command import Terminal
    from support.customerio import Customerio
    from support.singer import Singer

CERTIFICATES = Path(support.__file__).with_name("certificates")
LOOPBACK = CERTIFICATES / "loopback.pem"
"""A certificate that no authority has signed, with its key, valid until 2120."""


class Server:
    """Answers every request on loopback with one text; TLS with a certificate."""

    def __init__(self, answer: bytes, certificate: Path | None = None) -> None:
        self.answer = answer
        self.certificate = certificate
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            connection = context.wrap_socket(connection, server_side=True)
        with connection:
            self.heard.append(connection.recv(65_536))
            connection.sendall(self.answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(answer: bytes = OK, certificate: Path | None = None) -> Server:
        servers.append(Server(answer, certificate))
        return servers[-1]

    yield start
    for each in servers:
        each.close()


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def send(url: str, client: Client | None = None) -> None:
    (client or Client(build_session("site", "key", 1), url, 5)).send("GET", "/", None)


def test_a_certificate_of_an_unknown_authority_names_the_bundle(
    serve: Callable[..., Server],
) -> None:
    server = serve(certificate=LOOPBACK)
    with pytest.raises(DeliveryError, match=r"self.signed") as caught:
        send(f"https://127.0.0.1:{server.port}")
    assert "certificate of 127.0.0.1 is not accepted" in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"), [("expired", "expired"), ("other_host", "127.0.0.1")]
)
def test_a_certificate_of_a_known_authority_can_still_be_wrong(
    name: str, why: str, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = CERTIFICATES / f"{name}.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = serve(certificate=certificate)
    with pytest.raises(DeliveryError, match=why):
        send(f"https://127.0.0.1:{server.port}")


def test_a_bundle_that_knows_the_certificate_is_used(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(LOOPBACK))
    send(f"https://127.0.0.1:{serve(certificate=LOOPBACK).port}")


def test_a_certificate_that_fails_after_a_response_is_retried(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(LOOPBACK))
    server = serve(certificate=LOOPBACK)
    url = f"https://127.0.0.1:{server.port}"
    client = Client(build_session("site", "key", 1), url, 5)
    send(url, client)
    server.certificate = CERTIFICATES / "expired.pem"
    with pytest.raises(NoResponseError, match="certificate not accepted"):
        send(url, client)


def test_a_connection_that_breaks_in_the_handshake_is_retried(
    serve: Callable[..., Server],
) -> None:
    server = serve(b"")
    with pytest.raises(NoResponseError):
        send(f"https://127.0.0.1:{server.port}")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, b"no certificates"])
def test_an_unusable_bundle_is_named_by_its_variable(
    variable: str,
    content: bytes | None,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(DeliveryError, match=f"correct {variable}"):
        send(f"https://127.0.0.1:{serve(certificate=LOOPBACK).port}")


API = "https://track.example.com"
PASSWORD = "sesame-4711"


@pytest.mark.parametrize(
    ("status", "clue"),
    [(407, "put user and password into its URL"), (403, "HTTP 403"), (405, "HTTP 405")],
)
def test_a_proxy_that_refuses_the_connection_is_named(
    status: int,
    clue: str,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = serve(b"HTTP/1.1 %d No\r\n\r\n" % status)
    url = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(DeliveryError, match=clue) as caught:
        send(API)
    assert "HTTPS_PROXY" in str(caught.value)
    assert "api_url" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_proxy_that_is_busy_is_asked_again(
    status: int, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(b"HTTP/1.1 %d No\r\n\r\n" % status)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    with pytest.raises(NoResponseError, match=f"proxy answered with HTTP {status}"):
        send(API)


def test_a_proxy_that_cannot_be_reached_is_mentioned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = pytest.raises(
        NoResponseError, match="failed at the proxy: Connection refused"
    )
    with refusing_port() as port, refused:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        send(API)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("proxy", "clue"),
    [
        (f"http://user:{PASSWORD}@", "valid URL"),
        (f"http://user:{PASSWORD}@[", "valid URL"),
        (f"http://user:{PASSWORD}@a..b:1", "valid URL"),
        (f"ftp://user:{PASSWORD}@a:1", "valid URL"),
        (f"http://user:{PASSWORD}@a:99999", "valid URL"),
        (f"http://user:{PASSWORD}\udcff@a:1", "valid URL"),
        (f"socks5://user:{PASSWORD}@a:1", "requests[socks]"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    variable: str, proxy: str, clue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(DeliveryError) as caught:
        send(API)
    assert f"The proxy of {variable}" in str(caught.value)
    assert clue in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_requests_to_loopback_never_go_through_a_proxy(
    variable: str,
    host: str,
    customerio: Customerio,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = serve()
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    send(customerio.url.replace("127.0.0.1", host))
    assert len(customerio.requests) == 1
    assert proxy.heard == []


def test_the_command_reports_a_wrong_certificate_at_once_in_one_line(
    terminal: Terminal, singer: Singer, serve: Callable[..., Server]
) -> None:
    server = serve(certificate=LOOPBACK)
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        sandbox=None,
        site_id="site",
        api_key="key",
        api_url=f"https://127.0.0.1:{server.port}",
        max_retry_seconds=600,
    )
    assert "REQUESTS_CA_BUNDLE" in outcome.error
    assert "retrying" not in outcome.stderr
