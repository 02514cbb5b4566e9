from __future__ import annotations

import json
from typing import Any

import pytest

from target_customerio.track_api.responses import (
    REPEATS_HEADER,
    Delivered,
    PartlyRejected,
    Response,
    classify,
)


def response(*errors: Any) -> Response:
    return Response(207, {}, json.dumps({"errors": errors}).encode())


def test_an_error_without_an_index_means_the_only_operation() -> None:
    outcome = classify(response({"reason": "invalid", "message": "no"}), 1)
    assert isinstance(outcome, PartlyRejected)
    assert [outcome.errors[0].reason, outcome.unassigned] == ["invalid", 0]


def test_any_error_means_the_only_operation() -> None:
    outcome = classify(response({"batch_index": 7}), 1)
    assert isinstance(outcome, PartlyRejected)
    assert [list(outcome.errors), outcome.unassigned] == [[0], 0]


@pytest.mark.parametrize("error", [{"reason": "invalid"}, {"batch_index": 2}, "what"])
def test_an_error_that_names_no_operation_is_unassigned(error: Any) -> None:
    outcome = classify(response(error), 2)
    assert isinstance(outcome, PartlyRejected)
    assert [dict(outcome.errors), outcome.unassigned] == [{}, 1]


@pytest.mark.parametrize("errors", [[], {}, "", None])
def test_empty_errors_in_any_form_reject_nothing(errors: Any) -> None:
    body = json.dumps({"errors": errors}).encode()
    assert classify(Response(200, {}, body), 1) == Delivered()


def test_a_sandbox_names_the_events_that_it_dropped() -> None:
    headers = {REPEATS_HEADER: "0 2"}
    assert classify(Response(200, headers, b"{}"), 3) == Delivered(frozenset({0, 2}))
    outcome = classify(Response(207, headers, b'{"errors": [{"batch_index": 1}]}'), 3)
    assert isinstance(outcome, PartlyRejected)
    assert [list(outcome.errors), sorted(outcome.repeats)] == [[1], [0, 2]]


@pytest.mark.parametrize("header", ["", "x", "3 -1", "1.0", "9" * 5000])
def test_what_names_no_operation_is_no_repeat(header: str) -> None:
    response = Response(200, {REPEATS_HEADER: header}, b"{}")
    assert classify(response, 3) == Delivered()
