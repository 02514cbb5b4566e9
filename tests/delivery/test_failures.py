"""Failures of the network and of Customer.io: nothing is lost or reordered."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from support.command import refusing_port, wait_until
from support.customerio import Reply, Request

from target_customerio.errors import (
    CredentialsError,
    DeliveryError,
    RecordsRejectedError,
    RegionError,
    RejectedFileError,
)
from target_customerio.track_api.responses import REPEATS_HEADER

from .run import event, member, report, waits

if TYPE_CHECKING:
    from support.customerio import Customerio

    from .conftest import StartRun
    from .run import Run

pytestmark = pytest.mark.usefixtures("short_waits")

EVENTS = [event(name) for name in "abc"]


def assert_delivered_at_second_attempt(customerio: Customerio, run: Run) -> None:
    run.deliver(*EVENTS)
    assert [request.names for request in customerio.requests] == [["a", "b", "c"]] * 2
    assert run.recorder.delivered_names == ["a", "b", "c"]
    assert run.recorder.states == [{"after": 3}]
    assert run.delivery.statistics.retries == 1


@pytest.mark.parametrize(
    "status", [408, 409, 421, 423, 425, 429, 499, 500, 502, 503, 504, 599]
)
def test_a_retryable_status_is_retried(
    customerio: Customerio, run: Run, status: int
) -> None:
    customerio.reply_next(Reply(status, b"<h1>later</h1>"))
    assert_delivered_at_second_attempt(customerio, run)


def test_a_connection_reset_after_the_request_is_retried(
    customerio: Customerio, run: Run
) -> None:
    customerio.reply_next(Reply(fault="reset"))
    assert_delivered_at_second_attempt(customerio, run)


def test_a_connection_reset_on_connect_is_retried(
    customerio: Customerio, run: Run
) -> None:
    customerio.resets_on_connect = 2
    run.deliver(*EVENTS)
    assert customerio.names == ["a", "b", "c"]
    assert run.recorder.delivered_names == ["a", "b", "c"]


@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize("fault", ["cut", "cut_status", "cut_headers"])
def test_a_truncated_response_is_retried(
    customerio: Customerio, run: Run, status: int, fault: Any
) -> None:
    customerio.reply_next(Reply(status, body=b'{"errors": []}', fault=fault))
    assert_delivered_at_second_attempt(customerio, run)


def test_a_response_that_never_comes_is_retried(
    customerio: Customerio, impatient_run: Run
) -> None:
    customerio.reply_next(Reply(fault="silence"))
    assert_delivered_at_second_attempt(customerio, impatient_run)


@pytest.mark.parametrize("part", ["trickled_headers", "trickled_body"])
def test_a_response_that_trickles_in_times_out(
    customerio: Customerio, impatient_run: Run, part: Any
) -> None:
    customerio.reply_next(Reply(body=b"{}" + b" " * 1000, fault=part))
    started = time.monotonic()
    assert_delivered_at_second_attempt(customerio, impatient_run)
    assert time.monotonic() - started < 30  # the whole response takes far longer


def test_a_refused_connection_is_retried_for_max_retry_seconds(
    start_run: StartRun,
) -> None:
    with refusing_port() as port:
        run = start_run(url=f"http://127.0.0.1:{port}", max_retry_seconds=1)
        with pytest.raises(DeliveryError, match="Connection refused"):
            run.deliver(*EVENTS)
    assert run.recorder.states == []
    assert run.delivery.statistics.retries >= 2


@pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"{", b"\xff", b"[" * 9999])
def test_a_2xx_response_that_is_not_json_is_retried(
    customerio: Customerio, run: Run, body: bytes
) -> None:
    customerio.reply_next(Reply(200, body))
    assert_delivered_at_second_attempt(customerio, run)


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"{}", b"[]", b"null", b'"ok"', b'{"errors": []}']
)
def test_a_2xx_response_without_errors_is_a_success(
    customerio: Customerio, run: Run, body: bytes
) -> None:
    customerio.reply_next(Reply(200, body))
    run.deliver(*EVENTS)
    assert len(customerio.requests) == 1
    assert run.recorder.delivered_names == ["a", "b", "c"]


# Retry-After


def seconds_between_attempts(customerio: Customerio) -> list[float]:
    return [
        later.arrived - earlier.arrived
        for earlier, later in pairwise(customerio.requests)
    ]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_honoured(
    customerio: Customerio, run: Run, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    customerio.reply_next(Reply(status, headers={"Retry-After": "1"}))
    run.deliver(*EVENTS)
    assert waits(caplog) == [1]
    assert 1 <= seconds_between_attempts(customerio)[0] < 10


def test_retry_after_as_a_date_uses_the_servers_clock(
    customerio: Customerio, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    clock = datetime.now(timezone.utc) - timedelta(days=1)
    headers = {
        "Date": format_datetime(clock, usegmt=True),
        "Retry-After": format_datetime(clock + timedelta(seconds=1), usegmt=True),
    }
    customerio.reply_next(Reply(429, headers=headers))
    run.deliver(*EVENTS)
    assert waits(caplog) == [1]
    assert 1 <= seconds_between_attempts(customerio)[0] < 10


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "nan",
        "inf",
        "1e5",
        "٣",
        "0",
        "Mon, 99 Foo 2020 99:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
def test_an_invalid_or_past_retry_after_leaves_the_backoff(
    customerio: Customerio, run: Run, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Retry-After": value.encode().decode("latin-1")}
    customerio.reply_next(Reply(429, headers=headers))
    run.deliver(*EVENTS)
    assert waits(caplog) == [0]  # hundredths of a second
    assert seconds_between_attempts(customerio)[0] < 10


@pytest.mark.parametrize("value", ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_huge_retry_after_is_limited_by_max_retry_seconds(
    customerio: Customerio,
    start_run: StartRun,
    value: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    customerio.script = lambda _: Reply(429, headers={"Retry-After": value})
    run = start_run(concurrency=1, max_retry_seconds=0.5)
    with pytest.raises(DeliveryError, match="3 operations could not be delivered"):
        run.deliver(*EVENTS)
    assert waits(caplog) == [0.5]
    (waited,) = seconds_between_attempts(customerio)
    assert 0.45 < waited < 10


def test_retry_after_pauses_every_connection(
    customerio: Customerio, start_run: StartRun, caplog: pytest.LogCaptureFixture
) -> None:
    customerio.reply_next(Reply(429, headers={"Retry-After": "1"}))
    run = start_run(concurrency=4, batch_operations=1)
    run.put(event("first"))
    wait_until(lambda: waits(caplog), what="the pause")
    run.deliver(*(event(f"{number}") for number in range(8)))
    first, *others = customerio.requests
    assert len(others) == 9
    assert min(each.arrived for each in others) - first.arrived >= 1
    assert run.delivery.statistics.seconds_throttled > 0.5


def test_429_without_retry_after_pauses_every_connection(
    customerio: Customerio,
    start_run: StartRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("backoff.full_jitter", lambda _: 0.7)
    customerio.reply_next(Reply(429))
    run = start_run(concurrency=4, batch_operations=1)
    run.put(event("first"))
    wait_until(lambda: waits(caplog), what="the pause")
    run.deliver(*(event(f"{number}") for number in range(8)))
    first, *others = customerio.requests
    assert min(each.arrived for each in others) - first.arrived >= 0.69


def test_a_successful_last_attempt_resumes_all_connections(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.reply_next(Reply(429, headers={"Retry-After": "3600"}))
    run = start_run(concurrency=2, batch_operations=1, max_retry_seconds=0.5)
    started = time.monotonic()
    run.deliver(*(event(f"{number}") for number in range(6)))
    assert time.monotonic() - started < 30
    assert len(run.recorder.delivered_names) == 6


def test_retries_end_after_max_retry_seconds(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda _: Reply(503)
    run = start_run(max_retry_seconds=0.6, concurrency=1)
    started = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        run.deliver(*EVENTS)
    assert 0.6 <= time.monotonic() - started < 10
    # What follows from that is for the run to say: not every run has STATE.
    assert re.fullmatch(
        r"3 operations could not be delivered after \d+ attempts in [1-9] s \(the last "
        r"request failed with HTTP 503\)",
        str(caught.value),
    )
    assert "\n" not in str(caught.value)
    assert run.recorder.states == []
    assert run.recorder.delivered_names == []


def test_max_retry_seconds_0_means_one_attempt(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda _: Reply(503)
    run = start_run(max_retry_seconds=0)
    with pytest.raises(DeliveryError):
        run.deliver(*EVENTS)
    assert len(customerio.requests) == 1


# Rejections


def errors(*listed: Any) -> bytes:
    return json.dumps({"errors": listed}).encode()


@pytest.mark.parametrize("status", [200, 207])
def test_operations_listed_in_errors_are_rejected_and_nothing_is_resent(
    customerio: Customerio, run: Run, status: int
) -> None:
    customerio.reply_next(
        Reply(
            status,
            errors(
                {
                    "batch_index": 1,
                    "reason": "invalid",
                    "field": "name",
                    "message": "too\nlong " + "x" * 1000,
                },
                {"batch_index": 1, "reason": "another"},
            ),
        )
    )
    run.deliver(*EVENTS)
    assert len(customerio.requests) == 1
    assert run.recorder.delivered_names == ["a", "c"]
    assert run.recorder.states == [{"after": 3}]
    (error,) = run.recorder.rejections.values()
    assert (error.reason, error.field) == ("invalid", "name")
    assert error.message.startswith("too long xxx")
    assert len(error.message) == 200


INVALID_INDEXES = [
    *(3, -1, 10**30, 0.0, 1.5, -1.0, True, False, None),
    *("3", "-1", "9" * 5000, "²", "1.0", " 1", "", "one"),
    *([0], [[1]], {"batch_index": 1}),
]


@pytest.mark.parametrize("index", INVALID_INDEXES)
def test_an_error_without_a_valid_index_decides_nothing(
    customerio: Customerio, run: Run, index: Any, caplog: pytest.LogCaptureFixture
) -> None:
    customerio.reply_next(Reply(207, errors({"batch_index": index}, "what", None)))
    run.deliver(*EVENTS)
    assert [each.names for each in customerio.requests[1:]] == [["a"], ["b", "c"]]
    assert run.recorder.delivered_names == ["a", "b", "c"]
    assert run.recorder.states == [{"after": 3}]
    assert "sending 3 operations again" in caplog.text


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"{}", b"[]", b'{"errors": []}', b"null", b'{"meta": {}}']
)
def test_a_207_that_lists_no_errors_decides_nothing(
    customerio: Customerio, run: Run, body: bytes
) -> None:
    customerio.script = refusing(207, {"b"}, body)
    run.deliver(*EVENTS)
    attempts = [each.names for each in customerio.requests]
    assert attempts == [["a", "b", "c"], ["a"], ["b", "c"], ["b"], ["c"]]
    assert run.recorder.delivered_names == ["a", "c"]
    assert run.recorder.rejections.keys() == {"b"}


@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize(
    "error", [{"reason": "invalid"}, "invalid", {"batch_index": 9}]
)
def test_errors_that_name_no_operation_reject_the_one_at_fault(
    customerio: Customerio, run: Run, status: int, error: Any
) -> None:
    customerio.script = refusing(status, {"b"}, errors(error))
    run.deliver(*EVENTS)
    assert run.recorder.delivered_names == ["a", "c"]
    assert run.recorder.rejections.keys() == {"b"}
    assert run.recorder.states == [{"after": 3}]


@pytest.mark.parametrize("status", [200, 207])
def test_errors_in_meta_count_beside_others(
    customerio: Customerio, run: Run, status: int
) -> None:
    meta = {"errors": [{"batch_index": 1, "reason": "invalid"}]}
    customerio.reply_next(
        Reply.of({"errors": [], "meta": meta}, status),
        Reply.of({"errors": {"batch_index": "0"}, "meta": meta}, status),
    )
    run.deliver(*EVENTS)
    run.deliver(event("d"), event("e"), event("f"))
    assert run.recorder.delivered_names == ["a", "c", "f"]
    assert run.recorder.rejections.keys() == {"b", "d", "e"}


@pytest.mark.parametrize("status", [200, 207])
def test_an_index_may_be_text(customerio: Customerio, run: Run, status: int) -> None:
    named = {"batch_index": "1", "reason": "invalid"}
    customerio.reply_next(Reply(status, errors(named)))
    run.deliver(*EVENTS)
    assert len(customerio.requests) == 1
    assert run.recorder.delivered_names == ["a", "c"]
    assert run.recorder.rejections.keys() == {"b"}


def test_what_an_error_names_is_not_sent_again(
    customerio: Customerio, run: Run
) -> None:
    customerio.reply_next(Reply(200, errors({"batch_index": 1}, {"reason": "odd"})))
    run.deliver(*EVENTS)
    assert [each.names for each in customerio.requests[1:]] == [["a"], ["c"]]
    assert run.recorder.delivered_names == ["a", "c"]
    assert run.recorder.rejections.keys() == {"b"}


@pytest.mark.parametrize("body", [b'{"errors": "x"}', b'{"errors": {"a": 1}}'])
def test_errors_of_another_shape_decide_nothing(
    customerio: Customerio, run: Run, body: bytes
) -> None:
    customerio.reply_next(Reply(207, body))
    run.deliver(*EVENTS)
    assert run.recorder.delivered_names == ["a", "b", "c"]


def refusing(status: int, bad: set[str], body: bytes = b"") -> Any:
    return lambda request: (
        Reply(status, body) if bad.intersection(request.names) else Reply()
    )


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize(
    "bad", [{"0"}, {"9"}, {"4"}, {"3", "4", "8"}, {str(number) for number in range(10)}]
)
def test_a_refused_batch_is_halved_until_the_bad_operations_are_alone(
    customerio: Customerio, run: Run, status: int, bad: set[str]
) -> None:
    customerio.script = refusing(status, bad, errors({"reason": "malformed"}))
    names = [str(number) for number in range(10)]
    run.deliver(*(event(name) for name in names))
    good = [name for name in names if name not in bad]
    assert run.recorder.rejections.keys() == bad
    assert {each.reason for each in run.recorder.rejections.values()} == {"malformed"}
    assert run.recorder.delivered_names == good
    applied = [
        name
        for request in customerio.requests
        if not bad.intersection(request.names)
        for name in request.names
    ]
    assert applied == good
    assert run.recorder.states == [{"after": 10}]


@pytest.mark.parametrize(
    ("status", "body", "reason", "message"),
    [
        (400, b"<html>no</html>", "refused", "HTTP 400"),
        (413, b"<html>no</html>", "too_large", "HTTP 413"),
        (400, b'{"meta": {"errors": ["bad id"]}}', "refused", "bad id"),
        (400, b'{"errors": [7]}', "refused", "HTTP 400"),
        (400, b'{"errors": [{"reason": 7}]}', "refused", "HTTP 400"),
    ],
)
def test_the_reason_of_a_refusal_is_read_in_every_known_form(
    customerio: Customerio,
    run: Run,
    status: int,
    body: bytes,
    reason: str,
    message: str,
) -> None:
    customerio.script = refusing(status, {"b"}, body)
    run.deliver(*EVENTS)
    error = run.recorder.rejections["b"]
    assert error.reason == reason
    assert message in error.message
    assert run.recorder.delivered_names == ["a", "c"]


def test_a_half_that_is_retried_is_still_sent_before_the_other(
    customerio: Customerio, run: Run
) -> None:
    failed: set[str] = set()

    def script(request: Request) -> Reply:
        if "b" in request.names:
            return Reply(400)
        if request.names[0] not in failed:
            failed.add(request.names[0])
            return Reply(503)
        return Reply()

    customerio.script = script
    run.deliver(*(event(name) for name in "abcd"))
    assert run.recorder.delivered_names == ["a", "c", "d"]


def test_a_delivery_report_is_sent_alone_and_can_be_refused(
    customerio: Customerio, run: Run
) -> None:
    customerio.script = lambda request: Reply(400 if b"two" in request.body else 200)
    run.deliver(report("one"), report("two"), event("a"), report("three"))
    reports = [each for each in customerio.requests if each.path == "/api/v1/metrics"]
    assert [json.loads(each.body) for each in reports] == [
        {"delivery_id": name, "metric": "opened"} for name in ("one", "two", "three")
    ]
    assert sorted(run.recorder.delivered_names) == ["a", "one", "three"]
    assert list(run.recorder.rejections) == ["two"]


@pytest.mark.parametrize(
    "error", [RejectedFileError("disk full"), RecordsRejectedError("stop")]
)
def test_an_error_of_the_recorder_ends_the_run_without_state(
    customerio: Customerio, run: Run, error: Exception
) -> None:
    customerio.script = refusing(400, {"b"})
    run.recorder.raise_on_rejected = error
    with pytest.raises(type(error)):
        run.deliver(*EVENTS)
    assert run.recorder.states == []
    with pytest.raises(type(error)):
        run.put(event("later"))


def test_a_state_that_cannot_be_written_ends_the_run(run: Run) -> None:
    run.recorder.raise_on_state = BrokenPipeError()
    with pytest.raises(BrokenPipeError):
        run.deliver(*EVENTS)


# What ends the run


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_end_the_run_at_once(
    customerio: Customerio, run: Run, status: int
) -> None:
    run.deliver(event("before"))
    customerio.script = lambda _: Reply(status)
    with pytest.raises(CredentialsError, match=r"`site_id` and `api_key`"):
        run.deliver(*EVENTS)
    assert len(customerio.requests) == 2
    assert run.recorder.states == [{"after": 1}]


def test_a_redirect_is_not_followed_and_names_the_region_to_set(
    customerio: Customerio, run: Run
) -> None:
    headers = {"Location": "https://track-eu.customer.io/api/v2/batch"}
    customerio.script = lambda _: Reply(301, headers=headers)
    with pytest.raises(RegionError, match="set `region: eu`"):
        run.deliver(*EVENTS)
    assert len(customerio.requests) == 1


@pytest.mark.parametrize(
    "location", ["", "/elsewhere", "http://[", "http://example.com"]
)
def test_a_redirect_to_any_other_location_ends_the_run(
    customerio: Customerio, run: Run, location: str
) -> None:
    customerio.script = lambda _: Reply(307, headers={"Location": location})
    with pytest.raises(RegionError, match="check `region`"):
        run.deliver(*EVENTS)


@pytest.mark.parametrize("status", [402, 451])
def test_a_closed_account_ends_the_run_at_once(
    customerio: Customerio, run: Run, status: int
) -> None:
    run.deliver(event("before"))
    customerio.script = lambda _: Reply(status)
    with pytest.raises(DeliveryError, match=f"HTTP {status}.*account"):
        run.deliver(*EVENTS)
    assert len(customerio.requests) == 2
    assert run.recorder.states == [{"after": 1}]


@pytest.mark.parametrize("status", [404, 405, 410])
@pytest.mark.parametrize("operation", [event("a"), report("a")])
def test_an_unknown_path_before_any_success_names_api_url(
    customerio: Customerio, run: Run, status: int, operation: Any
) -> None:
    customerio.script = lambda _: Reply(status)
    with pytest.raises(DeliveryError, match="check `api_url`"):
        run.deliver(operation, *EVENTS)
    assert len(customerio.requests) == 1
    assert run.recorder.states == []


@pytest.mark.parametrize("answer", [Reply(400), Reply(207, errors({"batch_index": 0}))])
def test_a_rejection_does_not_prove_that_api_url_is_correct(
    customerio: Customerio, run: Run, answer: Reply
) -> None:
    customerio.reply_next(answer)
    run.deliver(event("refused"))
    customerio.script = lambda _: Reply(404)
    with pytest.raises(DeliveryError, match="check `api_url`"):
        run.deliver(*EVENTS)


# Unknown paths


@pytest.mark.parametrize("status", [404, 405, 410])
@pytest.mark.parametrize("operation", [event("a"), report("a")])
def test_an_unknown_path_after_a_success_is_retried(
    customerio: Customerio, run: Run, status: int, operation: Any
) -> None:
    run.deliver(event("before"))
    customerio.reply_next(Reply(status), Reply(status))
    run.deliver(operation)
    assert run.recorder.delivered_names == ["before", "a"]
    assert run.delivery.statistics.retries == 2


def test_an_unknown_path_after_a_success_ends_the_run_after_max_retry_seconds(
    customerio: Customerio, start_run: StartRun
) -> None:
    run = start_run(concurrency=1, max_retry_seconds=0.5)
    run.deliver(event("before"))
    customerio.script = lambda _: Reply(404)
    with pytest.raises(DeliveryError, match="HTTP 404"):
        run.deliver(*EVENTS)
    assert run.recorder.states == [{"after": 1}]


def segment_of(request: Request) -> str:
    return request.path.split("/")[4] if "segments" in request.path else ""


@pytest.mark.parametrize("status", [404, 405, 410])
@pytest.mark.parametrize("leaves", [False, True])
def test_only_members_of_the_unknown_segment_are_rejected(
    customerio: Customerio, run: Run, status: int, *, leaves: bool
) -> None:
    customerio.script = lambda request: Reply(
        status if segment_of(request) == "7" else 200
    )
    run.deliver(
        event("a"),
        *(member(person, 7, leaves=leaves) for person in "abc"),
        *(member(person, 8, leaves=leaves) for person in "abc"),
        event("b"),
    )
    assert run.recorder.rejections.keys() == {("7", person) for person in "abc"}
    reasons = {(each.reason, each.field) for each in run.recorder.rejections.values()}
    assert reasons == {("unknown_segment", "segmentId")}
    assert {"a", "b", *(("8", person) for person in "abc")} == {
        *run.recorder.delivered_names
    }
    attempts = [
        request for request in customerio.requests if segment_of(request) == "7"
    ]
    assert len(attempts) == 1  # not halved
    assert run.recorder.states == [{"after": 8}]


def test_unknown_segments_among_many_do_not_affect_the_others(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda request: Reply(
        404 if segment_of(request) in {"3", "11"} else 200
    )
    run = start_run(concurrency=4)
    changes = [member(f"{number}", number % 20) for number in range(200)]
    run.deliver(*changes)
    rejected = {("3", f"{n}") for n in range(200) if n % 20 == 3}
    rejected |= {("11", f"{n}") for n in range(200) if n % 20 == 11}
    assert run.recorder.rejections.keys() == rejected
    assert len(run.recorder.delivered_names) == 200 - len(rejected)


def test_a_run_with_only_an_unknown_segment_rejects_its_members(
    customerio: Customerio, run: Run
) -> None:
    """The region check has proved that `api_url` is correct."""
    customerio.script = lambda _: Reply(404)
    run.deliver(member("a", 7))
    assert list(run.recorder.rejections) == [("7", "a")]
    assert run.recorder.states == [{"after": 1}]


def test_rejected_members_do_not_prove_that_api_url_is_correct(
    customerio: Customerio, run: Run
) -> None:
    customerio.script = lambda _: Reply(404)
    run.deliver(member("a", 7))
    with pytest.raises(DeliveryError, match="check `api_url`"):
        run.deliver(*EVENTS)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_members_are_halved_until_the_bad_one_is_alone(
    customerio: Customerio, run: Run, status: int
) -> None:
    customerio.script = lambda request: Reply(
        status if "c" in json.loads(request.body)["ids"] else 200
    )
    run.deliver(*(member(person, 7) for person in "abcd"))
    assert list(run.recorder.rejections) == [("7", "c")]
    assert run.recorder.rejections["7", "c"].reason in {"refused", "too_large"}
    assert run.recorder.delivered_names == [("7", "a"), ("7", "b"), ("7", "d")]


def test_a_segment_request_is_retried(customerio: Customerio, run: Run) -> None:
    customerio.reply_next(Reply(503), Reply(409), Reply(fault="reset"))
    run.deliver(member("a", 7))
    assert run.recorder.delivered_names == [("7", "a")]


def test_an_invalid_url_names_api_url(start_run: StartRun) -> None:
    run = start_run(url="http://")
    with pytest.raises(DeliveryError, match="check `api_url`"):
        run.deliver(*EVENTS)


def test_a_failure_is_reported_once_with_no_lock_held(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda _: Reply(401, delay=0.1)
    locked: list[bool] = []
    run: Run = start_run(
        concurrency=1,
        batch_operations=1,
        on_failure=lambda: locked.append(run.holds_a_lock),
    )
    with pytest.raises(CredentialsError):
        run.deliver(*EVENTS)
    run.delivery.close(5)
    assert locked == [False]


def test_a_recorder_that_fails_in_a_lane_reports_the_failure(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = refusing(400, {"b"})
    failed = threading.Event()
    run = start_run(concurrency=1, flush_interval_seconds=0.02, on_failure=failed.set)
    run.recorder.raise_on_rejected = RejectedFileError("disk full")
    run.put(event("b"))
    assert failed.wait(60)
    with pytest.raises(RejectedFileError):
        run.delivery.drain()


def test_requests_in_flight_are_recorded_when_the_run_fails(
    customerio: Customerio, start_run: StartRun
) -> None:
    failed = threading.Event()

    def script(request: Request) -> Reply:
        if request.names == ["bad"]:
            wait_until(lambda: len(customerio.requests) == 2, what="both requests")
            return Reply(401)
        customerio.hold(failed)
        return Reply()

    customerio.script = script
    run = start_run(concurrency=2, batch_operations=1, on_failure=failed.set)
    with pytest.raises(CredentialsError):
        run.deliver(event("good"), event("bad"), event("late"), event("later"))
    run.delivery.close(60)
    assert run.recorder.delivered_names == ["good"]
    assert sorted(customerio.names) == ["bad", "good"]


def test_nothing_is_retried_after_the_run_has_failed(
    customerio: Customerio, start_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoff.full_jitter", lambda _: 0.01)
    customerio.script = lambda request: (
        Reply(401, delay=0.2) if request.names == ["bad"] else Reply(503)
    )
    sent: list[int] = []
    run = start_run(
        concurrency=2,
        batch_operations=1,
        on_failure=lambda: sent.append(len(customerio.requests)),
    )
    with pytest.raises(CredentialsError):
        run.deliver(event("failing"), event("bad"))
    wait_until(lambda: sent, what="the failure")
    time.sleep(0.3)  # enough for many retries
    assert len(customerio.requests) <= sent[0] + 1  # one that had been on its way
    assert run.recorder.states == []


def test_no_log_line_contains_a_credential_or_a_record(
    customerio: Customerio, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    customerio.reply_next(Reply(500, b"secret-name"), Reply(400, b"secret-name"))
    run.deliver(event("secret-name"))
    assert caplog.records
    for hidden in ("secret-name", "site", "c2l0ZTprZXk", "Authorization"):
        assert hidden not in caplog.text


@pytest.mark.parametrize("errors", [[], [{"batch_index": 1, "reason": "no"}]])
def test_events_that_a_sandbox_drops_are_accounted_for(
    customerio: Customerio, run: Run, errors: list[Any]
) -> None:
    status = 207 if errors else 200
    headers = {REPEATS_HEADER: "0"}
    customerio.reply_next(Reply.of({"errors": errors}, status, headers=headers))
    run.deliver(*EVENTS)

    assert run.recorder.repeated_names == ["a"]
    assert run.recorder.delivered_names == (["c"] if errors else ["b", "c"])
    assert list(run.recorder.rejections) == (["b"] if errors else [])
    assert run.recorder.states == [{"after": 3}]
    assert len(customerio.requests) == 1
