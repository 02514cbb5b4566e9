"""The counters of a plan, whatever the order of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.delivery import encode_operation
from target_customerio.plan.counts import MAX_NAMES, PlanCounts
from target_customerio.plan.model import OTHER_ATTRIBUTES, OperationPlan
from target_customerio.records import SourceStream
from target_customerio.results.summary import Summary
from target_customerio.snapshot.comparison import Decision
from target_customerio.snapshot.effects import Effect, Ticket
from target_customerio.snapshot.entry import EXISTS, Entry
from target_customerio.snapshot.tables import PERSON
from target_customerio.target import TargetCustomerIO
from target_customerio.track_api.operations import PersonDelete, PersonIdentify

if TYPE_CHECKING:
    from pathlib import Path

    from target_customerio.delivery import QueuedOperation
    from target_customerio.settings import Settings
    from target_customerio.snapshot.comparison import Change
    from target_customerio.track_api.operations import Operation

USERS, CRM = SourceStream("users", b"", "users"), SourceStream("crm", b"", "crm")
FIRST_NEW = 100


class Plan:
    """A plan whose operations are decided and answered one by one."""

    def __init__(self, settings: Settings) -> None:
        self._counts = PlanCounts()
        self._counts.start(FIRST_NEW)
        self._summary = Summary()
        self._settings = settings

    def decide(
        self,
        entry: int,
        change: Change = "changed",
        stream: SourceStream = USERS,
        gained: int = EXISTS,
        **attributes: Any,
    ) -> QueuedOperation:
        """Decide to send attributes of a person."""
        identify = PersonIdentify(identifiers={"id": "1"}, attributes=attributes)
        effect = Effect(Entry(entry, PERSON), (), gained=gained)
        decision = Decision(identify, Ticket([effect]), change, entry)
        return self._queued(stream, identify, decision)

    def delete(self, entry: int) -> QueuedOperation:
        """Decide to send a deletion."""
        delete = PersonDelete(identifiers={"id": "1"})
        effect = Effect(Entry(entry, PERSON), None, drops=True)
        return self._queued(USERS, delete, Decision(delete, Ticket([effect])))

    def _queued(
        self, stream: SourceStream, operation: Operation, decision: Decision
    ) -> QueuedOperation:
        self._summary.streams[stream.title].read += 1
        queued = encode_operation(operation, stream, b"")
        self._counts.expect(queued, operation, decision)
        return queued

    def leave(self, entry: int) -> None:
        self._summary.streams["users"].read += 1
        self._counts.leave(
            USERS, PersonIdentify(identifiers={"id": "1"}, attributes={}), entry
        )

    def answer(self, *operations: QueuedOperation) -> None:
        for each in operations:
            self._counts.accept(each)

    def refuse(self, operation: QueuedOperation) -> None:
        self._counts.refuse(operation)

    def figures(self, stream: str = "users") -> OperationPlan:
        plan = self._counts.plan(self._settings, self._summary)
        (found,) = [each for each in plan.streams if each.stream == stream]
        (identify,) = [
            each for each in found.operations if each.operation == "person identify"
        ]
        return identify


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    config: dict[str, Any] = {"sandbox": str(tmp_path / "workspace.db"), "plan": True}
    target = TargetCustomerIO(config=config, handles_signals=False)
    target.pipeline.close()
    return Plan(target.settings)


def test_a_person_who_changed_is_not_unchanged_after_the_answer(plan: Plan) -> None:
    plan.answer(plan.decide(1, plan="plus"))
    plan.leave(1)
    plan.leave(2)
    assert plan.figures() == OperationPlan(
        "person identify", changed=1, unchanged=1, attributes={"plan": 1}
    )


@pytest.mark.parametrize("is_answered_first", ["yes", ""])
def test_a_new_person_is_created_by_the_first_stream(
    plan: Plan, is_answered_first: str
) -> None:
    first = plan.decide(100, "created", plan="plus")
    if is_answered_first:
        plan.answer(first)
        second = plan.decide(100, "changed", CRM, stage="x")
    else:
        second = plan.decide(100, "created", CRM, stage="x")
        plan.answer(first)
    plan.answer(second)
    assert plan.figures() == OperationPlan("person identify", created=1)
    assert plan.figures("crm") == OperationPlan(
        "person identify", changed=1, attributes={"stage": 1}
    )


def test_a_person_of_whom_nothing_is_certain_is_created_once(plan: Plan) -> None:
    for stream in (USERS, CRM):
        plan.answer(plan.decide(100, "created", stream, 0, plan="plus"))
    assert plan.figures() == OperationPlan("person identify", created=1)
    assert plan.figures("crm").changed == 1


@pytest.mark.parametrize(
    "entry", [pytest.param(1, id="before the answer"), pytest.param(100, id="after it")]
)
def test_a_person_who_was_deleted_is_created(plan: Plan, entry: int) -> None:
    plan.answer(plan.delete(1))
    plan.answer(plan.decide(entry, plan="plus"))
    plan.answer(plan.decide(entry, plan="free"))
    assert plan.figures() == OperationPlan("person identify", created=1)


def test_what_is_refused_is_not_counted(plan: Plan) -> None:
    refused = plan.decide(1, plan="plus", city="Graz")
    plan.answer(plan.decide(1, plan="free"))
    plan.refuse(refused)
    assert plan.figures() == OperationPlan(
        "person identify", changed=1, attributes={"plan": 1}
    )


def test_only_so_many_attributes_are_counted_by_name(plan: Plan) -> None:
    names: dict[str, Any] = {f"a{number}": 1 for number in range(MAX_NAMES + 5)}
    plan.answer(plan.decide(1, **names), plan.decide(2, **names))
    attributes = plan.figures().attributes
    assert len(attributes) == MAX_NAMES + 1
    assert attributes[OTHER_ATTRIBUTES] == 2
