"""Every record that was read is delivered, skipped, rejected or undelivered."""

from __future__ import annotations

import io
import json
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from support.hypotheses import examples

import target_customerio.pipeline_parts
from target_customerio.delivery import build_session
from target_customerio.errors import TargetError
from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.command import Terminal
    from support.singer import Singer

STREAMS = ("identifies", "tracks")
FATES = ("delivered", "anonymous", "filtered", "rejected", "refused")


class Customerio(BaseAdapter):
    """Accepts operations, rejects some of them, and fails after some requests."""

    def __init__(self, fails_at: int | None) -> None:
        super().__init__()
        self.taken: set[str] = set()
        self.refused: set[str] = set()
        self._fails_at = fails_at
        self._requests = 0
        self._lock = Lock()

    def send(
        self, request: requests.PreparedRequest, *_: Any, **__: Any
    ) -> requests.Response:
        with self._lock:
            return self._answer(request)

    def _answer(self, request: requests.PreparedRequest) -> requests.Response:
        if request.method == "GET":
            return respond(200, {"region": "us"})
        self._requests += 1
        if self._fails_at is not None and self._requests >= self._fails_at:
            return respond(401, {})
        errors = []
        for index, operation in enumerate(json.loads(request.body or b"")["batch"]):
            person = operation["identifiers"]["id"]
            if person.startswith("refused"):
                self.refused.add(person)
                errors.append({"batch_index": index, "reason": "invalid"})
            else:
                self.taken.add(person)
        return respond(200, {"errors": errors} if errors else {})

    def close(self) -> None:
        pass


def respond(status: int, content: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.raw = io.BytesIO(json.dumps(content).encode())
    return response


class Record(NamedTuple):
    stream: str
    fate: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.fate}-{self.number}"

    @property
    def message(self) -> dict[str, Any]:
        record: dict[str, Any] = {"event": "A", "kind": self.fate, "userId": self.name}
        if self.fate == "anonymous":
            # Without an identifier, an identify is skipped and a track delivered.
            del record["userId"]
            record["anonymousId"] = "visitor"
        if self.fate == "rejected":
            record["userId"] = True
        return {"type": "RECORD", "stream": self.stream, "record": record}


@pytest.fixture
def signals() -> Iterator[None]:
    kept = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def deliver(
    records: list[Record], server: Customerio, **config: Any
) -> dict[str, dict[str, int]]:
    """Run the target on records; return its counts by stream."""
    properties: dict[str, Any] = {
        name: {} for name in ("userId", "anonymousId", "event", "kind")
    }
    messages = [
        *(
            {
                "type": "SCHEMA",
                "stream": stream,
                "schema": {"properties": properties},
                "key_properties": [],
            }
            for stream in STREAMS
        ),
        *(record.message for record in records),
    ]

    def session(*arguments: Any) -> requests.Session:
        made = build_session(*arguments)
        made.mount("https://", server)
        return made

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(target_customerio.pipeline_parts, "build_session", session)
        target = TargetCustomerIO(
            config={
                "site_id": "site",
                "api_key": "key",
                "batch_size_rows": 3,
                "rejected_records_path": str(Path(folder) / "rejected.jsonl"),
                "stream_maps": {
                    stream: {"__filter__": "kind != 'filtered'"} for stream in STREAMS
                },
                **config,
            }
        )
        lines = "".join(f"{json.dumps(message)}\n" for message in messages)
        with suppress(TargetError):
            target.process(io.TextIOWrapper(io.BytesIO(lines.encode())))
        return {
            stream: counts.totals
            for stream, counts in target.pipeline.recorder.summary.streams.items()
        }


def expected(
    stream: str, read: int, records: list[Record], server: Customerio
) -> dict[str, int]:
    """Compute the outcomes of the first records of a stream."""
    seen = [record for record in records if record.stream == stream][:read]
    assert len(seen) == read
    skipped = {"filtered"} | ({"anonymous"} if stream == "identifies" else set())
    counts = dict.fromkeys(("delivered", "skipped", "rejected", "undelivered"), 0)
    for record in seen:
        if record.fate in skipped:
            counts["skipped"] += 1
        elif record.fate == "rejected" or record.name in server.refused:
            counts["rejected"] += 1
        elif record.name in server.taken:
            counts["delivered"] += 1
        else:
            counts["undelivered"] += 1
    return {"read": read, **counts}


@pytest.mark.usefixtures("signals")
@settings(max_examples=examples(40))
@example(fates=[("identifies", "delivered")] * 10, fails_at=1, on_rejected="fail")
@example(
    fates=[(stream, fate) for fate in FATES for stream in STREAMS] * 4,
    fails_at=3,
    on_rejected="continue",
)
@given(
    fates=st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from(FATES))),
    fails_at=st.none() | st.integers(1, 8),
    on_rejected=st.sampled_from(["fail", "continue"]),
)
def test_every_record_is_counted_by_its_outcome(
    fates: list[tuple[str, str]], fails_at: int | None, on_rejected: str
) -> None:
    # A delivered track without a user ID could not be matched to its record.
    records = [
        Record(stream, fate, number)
        for number, (stream, fate) in enumerate(fates)
        if (stream, fate) != ("tracks", "anonymous")
    ]
    server = Customerio(fails_at)

    figures = deliver(records, server, on_rejected=on_rejected)

    for stream in STREAMS:
        counts = figures[stream]
        assert counts == expected(stream, counts["read"], records, server)
        assert counts["read"] == sum(list(counts.values())[1:])
        if fails_at is None:
            assert counts["undelivered"] == 0
            assert counts["read"] == sum(each.stream == stream for each in records)


def test_the_summary_counts_undelivered_records_after_an_outage(
    terminal: Terminal, singer: Singer, stand_in: Any
) -> None:
    server = stand_in(503, greets=True)

    outcome = terminal.run(
        singer.schema("identifies"),
        singer.schema("tracks"),
        *(singer.record("identifies", userId=f"p-{n}") for n in range(7)),
        singer.record("identifies", userId=True),
        singer.record("identifies", anonymousId="visitor"),
        *(singer.record("tracks", userId="ada", event="Cheered") for _ in range(3)),
        sandbox=None,
        api_url=server.url,
        site_id="site",
        api_key="key",
        max_retry_seconds=1,
    )

    assert "could not be delivered" in outcome.error
    undelivered = {name: row["undelivered"] for name, row in outcome.table.items()}
    assert undelivered == {"identifies": 7, "tracks": 3}
    assert outcome.table["identifies"]["rejected"] == 1


def test_a_successful_run_has_no_undelivered_column(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"), singer.record("identifies", userId="ada")
    )

    assert outcome.code == 0
    assert "undelivered" not in outcome.stderr
