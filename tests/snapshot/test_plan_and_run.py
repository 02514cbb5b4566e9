"""The figures of a plan are those of the run after it, whatever the tables hold."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.customerio import Customerio, accept
from support.hypotheses import examples
from support.singer import line_of, record, schema

from target_customerio.errors import RemovalRefusedError
from target_customerio.json_codec import Decoding
from target_customerio.plan import OperationPlan, RemovalPlan
from target_customerio.records import Place
from target_customerio.results.recorder import RunRecorder
from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_customerio.delivery import QueuedOperation

    Records = Sequence[tuple[str, dict[str, Any]]]
    Key: TypeAlias = tuple[str, str]

CALLS = {
    "users": "identify",
    "crm": "identify",
    "companies": "group",
    "members": "segment",
    "events": "track",
}
COMPARED = {
    "users": "person identify",
    "crm": "person identify",
    "companies": "object identify",
    "members": "segment add",
}
KINDS = {
    "person delete": "people",
    "object delete": "objects",
    "object delete_relationships": "relationships",
    "segment remove": "memberships",
}
LONG = "x" * 1001
"""A value that the sandbox refuses."""

ids = st.integers(0, 5)
events = st.sampled_from(["Paid", "Paid", "User Deleted"])
values = st.sampled_from(["a", "b", None])
ROWS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "users": st.fixed_dictionaries(
        {"user_id": ids, "plan": values},
        optional={"seats": st.integers(0, 1), "bio": st.just(LONG)},
    )
    | st.just({"plan": "nobody's"}),
    "crm": st.fixed_dictionaries(
        {"plan": values, "stage": values, "user_id": ids},
        optional={"timestamp": st.integers(1, 3)},
    )
    | st.fixed_dictionaries({"email": st.just("lead@example.com"), "stage": values}),
    "companies": st.fixed_dictionaries(
        {"group_id": st.integers(0, 2), "name": values}, optional={"user_id": ids}
    ),
    "members": st.fixed_dictionaries(
        {"segment_id": st.just(7), "user_id": ids},
        optional={"action": st.just("remove")},
    ),
    "events": st.fixed_dictionaries(
        {"user_id": ids, "event": events, "message_id": st.just("m")}
    ),
}
rounds = st.lists(
    st.lists(
        st.sampled_from([*ROWS]).flatmap(
            lambda stream: st.tuples(st.just(stream), ROWS[stream])
        ),
        max_size=12,
    ),
    min_size=1,
    max_size=3,
)


def key_of(stream: str, row: dict[str, Any]) -> Key:
    """Return what a row is about."""
    if stream == "companies":
        return "object", str(row["group_id"])
    if stream == "members":
        return "member", str(row["user_id"])
    return "person", str(row.get("user_id", row.get("email")))


def operation_of(stream: str, row: dict[str, Any]) -> str | None:
    """Return the operation of a row that is compared and not rejected."""
    if row.get("bio") == LONG or not {"user_id", "email", "group_id"} & {*row}:
        return None
    return None if row.get("action") == "remove" else COMPARED.get(stream)


@dataclass
class Figures:
    """What was read and delivered of a stream as one operation, by entry."""

    read: set[Key] = field(default_factory=set)
    created: set[Key] = field(default_factory=set)
    delivered: set[Key] = field(default_factory=set)
    sent: int = 0
    attributes: defaultdict[str, set[Key]] = field(
        default_factory=lambda: defaultdict(set)
    )

    def plan(self, operation: str) -> OperationPlan:
        """Return what a plan should have said."""
        attributes = {
            name: len(keys - self.created) for name, keys in self.attributes.items()
        }
        return OperationPlan(
            operation,
            created=len(self.created),
            changed=len(self.delivered - self.created),
            unchanged=len(self.read - self.delivered),
            sent=self.sent,
            attributes={name: count for name, count in attributes.items() if count},
        )


class Pipeline:
    """A pipeline that is planned and then run, again and again."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._config = {
            "snapshot": str(folder / "snapshot.db"),
            "rejected_records_path": str(folder / "rejected.jsonl"),
            "stream_calls": CALLS,
            "remove_missing": True,
            "max_deletions": 1_000,
            **options,
        }
        self._known: set[Key] = set()
        self._delivered: list[QueuedOperation] = []

    def check(self, records: Records) -> None:
        """Plan a run, run it, and compare."""
        plan = self._load(records, plan=True).pipeline.plan
        assert plan is not None
        self._delivered.clear()
        before = RunRecorder.delivered

        def note(recorder: RunRecorder, operations: Sequence[QueuedOperation]) -> None:
            before(recorder, operations)
            self._delivered += operations

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunRecorder, "delivered", note)
            run = self._load(records, plan=False)
            expected = self._expected(records)
            self._delivered.clear()
            self._remove(run)
        streams = run.pipeline.recorder.summary.streams
        for planned in plan.streams:
            counts = streams[planned.stream]
            assert planned.read == counts.read
            assert planned.rejected == counts.rejected
            assert {each.operation: each for each in planned.operations} == {
                operation: figures.plan(operation)
                for operation, figures in expected.get(planned.stream, {}).items()
            }
            removal = planned.removal or RemovalPlan()
            removed = {kind: count for kind, count in removal.removed.items() if count}
            assert removed == self._removed(planned.stream)

    def _load(self, records: Records, *, plan: bool) -> TargetCustomerIO:
        target = TargetCustomerIO(
            config={**self._config, "plan": plan}, handles_signals=False
        )
        with target.run as run:
            for stream in CALLS:
                message = schema(stream)
                run.add_stream(stream, message["schema"], [], line_of(message))
            for number, (stream, row) in enumerate(records, 1):
                line = line_of(record(stream, **row))
                prepared = run.streams[stream]
                run.load(prepared, {**row}, line, Place(number), Decoding.STRICT)
            run.finish()
        return target

    def _remove(self, run: TargetCustomerIO) -> None:
        """Remove what is missing, and forget that it exists."""
        with suppress(RemovalRefusedError):
            run.remove_missing()
        for each in self._delivered:
            kind, _, value = each.identities[0].partition(":")
            if each.label == "object delete":
                self._known.discard(("object", value.removeprefix("1:")))
            elif each.label == "person delete":
                assert kind in {"id", "email"}
                self._known.discard(("person", value))

    def _removed(self, stream: str) -> dict[str, int]:
        """Return how many were removed for a stream, by kind."""
        return dict(
            Counter(
                KINDS[each.label]
                for each in self._delivered
                if each.stream.title == stream  # type: ignore[attr-defined]  # any object
            )
        )

    def _expected(self, records: Records) -> dict[str, dict[str, Figures]]:
        """Return the figures by what was delivered, and remember what exists."""
        expected: defaultdict[str, dict[str, Figures]] = defaultdict(dict)
        for each in self._delivered:
            stream: str = each.stream.title  # type: ignore[attr-defined]  # any object
            row = json.loads(each.record)["record"]  # type: ignore[arg-type]  # likewise
            figures = expected[stream].setdefault(each.label, Figures())
            if each.label in COMPARED.values():
                self._compare(figures, stream, row, json.loads(each.body))
                continue
            figures.sent += 1
            if each.label == "person delete":
                self._known.discard(key_of(stream, row))
        for stream, row in records:
            operation = operation_of(stream, row)
            if operation is not None:
                figures = expected[stream].setdefault(operation, Figures())
                figures.read.add(key_of(stream, row))
        return expected

    def _compare(
        self, figures: Figures, stream: str, row: dict[str, Any], sent: Any
    ) -> None:
        key = key_of(stream, row)
        figures.delivered.add(key)
        # A membership has nothing that could change.
        if key not in self._known or stream == "members":
            figures.created.add(key)
            self._known.add(key)
        if stream == "members":
            return
        if stream == "companies" and sent.get("cio_relationships"):
            self._known.add(("person", str(row["user_id"])))
        for name in sent["attributes"]:
            figures.attributes[name].add(key)


@pytest.fixture(scope="module")
def server() -> Iterator[Customerio]:
    started = Customerio(accept)
    yield started
    started.close()


@settings(max_examples=examples(200) // 5)
@given(rounds=rounds)
def test_a_plan_has_the_figures_of_the_run_into_a_sandbox(rounds: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(
            Path(folder),
            sandbox=f"{folder}/workspace.db",
            on_rejected="continue",
        )
        for records in rounds:
            pipeline.check(records)


@settings(max_examples=examples(200) // 10)
@given(rounds=rounds)
def test_a_plan_has_the_figures_of_the_run_into_customerio(
    server: Customerio, rounds: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(
            Path(folder),
            site_id="a",
            api_key="b",
            api_url=server.url,
            on_rejected="continue",
        )
        for records in rounds:
            pipeline.check([each for each in records if each[1].get("bio") != LONG])
