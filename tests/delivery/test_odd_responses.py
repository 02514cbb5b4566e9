"""Responses that are not as HTTP wants them: none is taken for another's."""

from __future__ import annotations

import contextlib
import gzip
import json
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.command import PATIENCE
from support.customerio import Customerio, Reply
from support.hypotheses import examples

from target_customerio.delivery import Client, build_session
from target_customerio.track_api.client import MAX_RESPONSE_BYTES, NoResponseError

from .run import event

if TYPE_CHECKING:
    from .run import Run

pytestmark = pytest.mark.usefixtures("short_waits")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"

FOR_ONE = b'{"errors": [{"batch_index": 0, "reason": "invalid"}]}'


def answer(status: str, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status.encode(), *headers]
    return b"\r\n".join([*lines, b"", body])


@pytest.mark.parametrize(
    "raw",
    [
        (HINTS + OK,),
        (HINTS, OK),
        (CONTINUE + PROCESSING, HINTS, HINTS, OK),
        (answer("199 Odd", b"") + OK,),
    ],
)
def test_an_interim_response_is_not_the_answer(
    customerio: Customerio, run: Run, raw: tuple[bytes, ...]
) -> None:
    customerio.reply_next(Reply(raw=raw), Reply(207, FOR_ONE))
    run.deliver(event("a"))
    run.deliver(event("b"))
    assert [each.names for each in customerio.requests] == [["a"], ["b"]]
    assert run.recorder.delivered_names == ["a"]
    assert run.recorder.rejections.keys() == {"b"}
    assert customerio.connections == 1


RETRIED = {
    "another protocol": answer("101 Switching Protocols", b"", b"Upgrade: h2c"),
    "two lengths": answer(
        "200 OK", b"{}   ", b"Content-Length: 2", b"Content-Length: 5"
    ),
    "two lengths in one": answer("200 OK", b"{}   ", b"Content-Length: 2, 5"),
    "two lengths of an error": answer(
        "400 Bad", b"{}", b"Content-Length: 2", b"Content-Length: 0"
    ),
    "chunked cut off": answer(
        "200 OK", b"2\r\n{}\r\n", b"Transfer-Encoding: chunked", b"Connection: close"
    ),
    "chunk without a size": answer(
        "200 OK", b"x\r\n{}\r\n", b"Transfer-Encoding: chunked"
    ),
    "negative chunk": answer("200 OK", b"-2\r\n{}\r\n", b"Transfer-Encoding: chunked"),
    "endless chunk": answer(
        "200 OK", b"-1\r\n" + b" " * 9_000_000, b"Transfer-Encoding: chunked"
    ),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "205 with a page": answer("205 Reset", b"<p>hi</p>", b"Content-Length: 9"),
    "206 of a page": answer("206 Partial", b"<p>hi</p>", b"Content-Length: 9"),
    "too many headers": answer("200 OK", b"{}", *[b"X: y"] * 200),
    "a header without an end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "no zlib": answer("200 OK", b"{{", b"Content-Length: 2", b"Content-Encoding: gzip"),
    "status 999": answer("999 Odd", b"", b"Content-Length: 0"),
}


@pytest.mark.parametrize("name", RETRIED)
def test_what_is_no_answer_is_retried(
    customerio: Customerio, impatient_run: Run, name: str
) -> None:
    customerio.reply_next(Reply(raw=(RETRIED[name],)), Reply(207, FOR_ONE))
    impatient_run.deliver(event("a"))
    assert [each.names for each in customerio.requests] == [["a"], ["a"]]
    assert impatient_run.recorder.rejections.keys() == {"a"}


@pytest.mark.parametrize(
    "first",
    [
        (answer("204 No Content", b"", b"Content-Length: 41"), OK),
        (OK + OK,),
        (
            answer(
                "200 OK",
                b"2\r\n{}\r\n0\r\n\r\n",
                b"Transfer-Encoding: chunked",
                b"Content-Length: 2",
            ),
            OK,
        ),
    ],
)
def test_the_rest_of_a_response_is_not_the_next_answer(
    customerio: Customerio, run: Run, first: tuple[bytes, ...]
) -> None:
    customerio.reply_next(Reply(raw=first), Reply(207, FOR_ONE))
    run.deliver(event("a"))
    run.deliver(event("b"))
    assert run.recorder.delivered_names == ["a"]
    assert run.recorder.rejections.keys() == {"b"}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(FOR_ONE, mtime=0)),
        ("x-gzip", gzip.compress(FOR_ONE, mtime=0)),
        ("Deflate", zlib.compress(FOR_ONE)),
    ],
)
def test_a_compressed_response_is_read(
    customerio: Customerio, run: Run, encoding: str, body: bytes
) -> None:
    headers = {"Content-Encoding": encoding}
    customerio.reply_next(Reply(207, body, headers=headers))
    run.deliver(event("a"), event("b"))
    assert run.recorder.delivered_names == ["b"]
    assert run.recorder.rejections["a"].reason == "invalid"


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br"])
def test_a_response_that_expands_is_read_up_to_a_limit(
    customerio: Customerio, encoding: str
) -> None:
    body = gzip.compress(b" " * 100_000_000, 1)
    if "," in encoding:
        body = gzip.compress(body)
    customerio.reply_next(Reply(200, body, headers={"Content-Encoding": encoding}))
    with build_session("site", "key", 1) as session:
        client = Client(session, customerio.url, PATIENCE)
        tracemalloc.start()
        response = client.send("GET", "/", None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(response.body) <= MAX_RESPONSE_BYTES + 1
    assert peak < 8 * MAX_RESPONSE_BYTES


@pytest.fixture(scope="module")
def server() -> object:
    made = Customerio()
    yield made
    made.close()


PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 500\r\n",
        b"HTTP/1.1 103 Hints\r\n\r\n",
        b"Content-Length: 2\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Location: http://[\r\n",
        b"Retry-After: \xff\r\n",
        b": no name\r\n",
        b" folded\r\n",
        b"\r\n",
        b"\0",
        b"{}",
        b"2\r\n{}\r\n",
        b"0\r\n\r\n",
    ]
)


@settings(max_examples=examples(40), deadline=None)
@given(pieces=st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=8))
def test_any_bytes_are_a_response_or_none(
    server: Customerio, pieces: list[bytes]
) -> None:
    raw = b"".join(pieces) or b"\r\n"
    server.next_replies[:] = [Reply(raw=(raw,), fault="reset")]
    with build_session("site", "key", 1) as session:
        client = Client(session, server.url, 0.2)
        with contextlib.suppress(NoResponseError):
            client.send("POST", "/api/v2/batch", json.dumps({"batch": []}).encode())
