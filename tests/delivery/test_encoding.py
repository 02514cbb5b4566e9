"""Encoding of operations."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from target_customerio.delivery import encode_operation
from target_customerio.errors import RejectedRecord
from target_customerio.track_api.endpoints import BATCH, METRICS
from target_customerio.track_api.operations import (
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    PersonEvent,
    PersonIdentify,
)

from .run import event, report


def test_an_operation_keeps_its_numbers_and_its_record() -> None:
    record = object()
    identify = PersonIdentify(
        identifiers={"id": "42"},
        attributes={
            "email": "Ann@Example.com",
            "balance": Decimal("10.10"),
            "huge": 2**80,
        },
    )
    queued = encode_operation(identify, "users", record)
    assert b'"balance":10.10' in queued.body
    assert str(2**80).encode() in queued.body
    assert json.loads(queued.body)["action"] == "identify"
    assert queued.record is record
    assert (queued.stream, queued.label) == ("users", "person identify")
    assert queued.identities == queued.linked == ("id:42", "email:ann@example.com")
    assert queued.endpoint is BATCH
    assert encode_operation(report("d"), "metrics", None).endpoint is METRICS


@pytest.mark.parametrize("length", [1, 300])
@pytest.mark.parametrize("kind", [ObjectIdentify, ObjectIdentifyAnonymous])
@pytest.mark.parametrize("attributes", [{}, {"plan": "pro"}])
def test_an_object_without_people_keeps_its_order(
    length: int,
    kind: type[ObjectIdentify | ObjectIdentifyAnonymous],
    attributes: dict[str, Any],
) -> None:
    key = {"object_type_id": "1", "object_id": "x" * length}
    without = kind(identifiers=key, attributes=attributes)
    alone = encode_operation(without, "groups", None)
    without.cio_relationships = []
    empty = encode_operation(without, "groups", None)
    assert empty.identities == alone.identities
    assert len(empty.identities) == 1
    assert empty.shared == ()


def test_an_operation_over_the_limit_is_rejected() -> None:
    empty = len(encode_operation(event("a", padding=1), "s", None).body) - 1
    largest = encode_operation(event("a", padding=32_768 - empty), "s", None)
    assert len(largest.body) == 32_768
    with pytest.raises(RejectedRecord, match=r"32,769 bytes.*32,768") as caught:
        encode_operation(event("a", padding=32_769 - empty), "s", None)
    assert caught.value.reason == "too_large"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"), [("\ud800", "invalid_text"), (nested(100_000), "too_deep")]
)
def test_an_operation_that_cannot_be_json_is_rejected_without_quoting_it(
    value: Any, reason: str
) -> None:
    operation = PersonEvent(identifiers={"id": "1"}, name="n", attributes={"a": value})
    with pytest.raises(RejectedRecord) as caught:
        encode_operation(operation, "s", None)
    assert caught.value.reason == reason
    assert "\ud800" not in str(caught.value)


def test_an_endpoint_joins_operations_into_one_body() -> None:
    assert BATCH.body([b"{}", b"{}"]) == b'{"batch":[{},{}]}'
    assert METRICS.body([b"{}"]) == b"{}"
