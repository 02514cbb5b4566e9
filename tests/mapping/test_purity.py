"""The conversion is pure for any input."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hypotheses import examples

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.actions import ACTIONS, events_of_actions
from target_customerio.mapping.call import ConversionSettings, Skipped
from target_customerio.mapping.converter import Converter

MARK = "s3cret0mark"
MARKED_NUMBER = 918273645546
EVENTS = [name for action in ACTIONS.values() for name in action.events]
ENCODER = msgspec.json.Encoder(decimal_format="number")
BROAD = settings(
    max_examples=examples(250),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)

FIELDS = [
    "userId",
    "user_id",
    "anonymousId",
    "anonymous_id",
    "previousId",
    "groupId",
    "group_id",
    "messageId",
    "timestamp",
    "original_timestamp",
    "email",
    "phone",
    "traits",
    "properties",
    "context",
    "id",
    "event",
    "event_text",
    "name",
    "type",
    "action",
    "objectId",
    "object_id",
    "objectTypeId",
    "relationshipAttributes",
    "createdAt",
    "created_at",
    "recipient",
    "reply_to",
    "_sdc_deleted_at",
    "context_device_token",
    "context__device__type",
    "context_app_version",
    "context_traits_email",
    "context_group_id",
    "traits__plan",
    "traits__email",
    "properties__device_id",
    "properties__a__b",
    "url",
    "at",
    "deliveryId",
    "delivery_id",
    "metric",
    "actionType",
    "actionName",
    "href",
    "device_id",
    "deviceId",
    "device",
    "os",
    "app",
    "locale",
    "token",
    "model",
    "version",
    "plan",
    "tags",
    "USER_ID",
    "EVENT",
    "EMAIL",
    "CREATED_AT",
    "TYPE",
    "TRAITS",
    "CONTEXT",
    "TRAITS__EMAIL",
    "CONTEXT_TRAITS_PLAN",
    "context_traits",
    "context_traits_plan",
    "context__traits__EMAIL",
    "_SDC_DELETED_AT",
    "RECIPIENT",
    "integrations",
    "INTEGRATIONS",
    "integrations__All",
    "All",
    "Customer.io",
    "received_at",
    "originalTimestamp",
    "uuid_ts",
    "segment_id",
]
READ = [
    "timestamp",
    "action",
    "created_at",
    "email",
    "messageId",
    "objectId",
    "context",
    "type",
    "integrations",
]
TEXTS = st.sampled_from(
    [
        *EVENTS,
        "",
        " ",
        "ann@example.com",
        "+14155552671",
        "cio_1",
        "2023-03-21T14:09:57.123Z",
        "2023-03-21",
        "0000-00-00",
        "1679407797",
        "ios",
        "a" * 64,
        "x:APA91",
        "delete",
        "add_relationships",
        "viewed_content",
        "01HQZX3V8N5T7KJ4M2P6W9R0YB",
        '{"email": "ann@example.com", "a": [1.10, {"b": null}]}',
        '{"device": {"token": "t"}}',
        "null",
        "[1",
        "[]",
        "identify",
        "Track",
        '{"All": false}',
    ]
)
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([1679407797, 1679407797123, 2**64, 10**400]),
    st.floats(),
    st.decimals(allow_nan=None),
).filter(lambda number: not (isinstance(number, Decimal) and number.is_snan()))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8), TEXTS)
NAMES = st.one_of(st.sampled_from(FIELDS), st.text(max_size=6))


def values_of(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return any JSON made of these leaves, with the spec's names mixed in."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(NAMES, inner, max_size=4),
        ),
        max_leaves=8,
    )


def records_of(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return any record: some lack everything, some are nearly right."""
    values = values_of(leaves)
    inner = st.dictionaries(NAMES, values, max_size=3)
    contexts = st.one_of(
        inner,
        st.fixed_dictionaries(
            {"device": st.fixed_dictionaries({"token": leaves, "type": leaves})},
            optional={"app": inner, "locale": values, "traits": inner},
        ),
    )
    nearly = st.fixed_dictionaries(
        {},
        optional={
            "userId": st.sampled_from(["1", 42, "ann@example.com"]),
            "event": st.sampled_from([*EVENTS, "Bought"]),
            "name": st.just("Home"),
            "groupId": st.just("acme"),
            "previousId": st.just("2"),
            "traits": st.dictionaries(NAMES, values, max_size=4),
            "properties": st.dictionaries(NAMES, values, max_size=4),
            "context": contexts,
        },
    )
    read = st.dictionaries(st.sampled_from(READ), values, max_size=2)
    anything = st.dictionaries(NAMES, values, max_size=4)
    return st.builds(
        lambda one, two, three: {**one, **two, **three}, nearly, anything, read
    )


CALLS = st.sampled_from(
    ["identify", "track", "page", "screen", "group", "alias", "segment"]
)
SETTINGS = st.builds(
    ConversionSettings,
    user_id_type=st.sampled_from(["auto", "id", "email", "cio_id"]),
    screen_events=st.sampled_from(["screen", "viewed_event"]),
    anonymous_identify=st.sampled_from(["skip", "use_as_id"]),
    convert_timestamps=st.booleans(),
    null_attributes=st.sampled_from(["send", "omit"]),
    update_only=st.booleans(),
    identify_timestamp=st.sampled_from(["record", "omit"]),
    hard_delete=st.booleans(),
    action_events=st.just(events_of_actions({})[0]),
    flattening_separator=st.sampled_from(["__", ".", "_"]),
)
DATED = {"type": ["null", "string"], "format": "date-time"}
SCHEMAS = st.sampled_from(
    [
        {},
        {"properties": {"at": DATED, "created_at": DATED, "plan": DATED}},
        {"properties": {"traits": {"properties": {"at": DATED, "plan": DATED}}}},
        {"properties": {"tags": {"type": "array", "items": DATED}, "at": {}}},
        {"additionalProperties": {"anyOf": [DATED, {}]}},
        {
            "properties": {"traits": {"$ref": "#/definitions/any"}},
            "definitions": {
                "any": {
                    "additionalProperties": {"$ref": "#/definitions/any"},
                    "properties": {
                        "at": DATED,
                        "plan": {"format": "singer.decimal"},
                    },
                }
            },
        },
    ]
)
KEYS = st.sampled_from([(), ("id",), ("userId", "event"), ("at",)])


def new_converter(call: Any, schema: Any, keys: Any, chosen: Any) -> Converter:
    return Converter(
        call,
        stream="a-stream",
        schema=schema,
        key_properties=keys,
        settings=chosen,
        draw=lambda: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    )


def outcome_of(
    converter: Converter, record: dict[str, Any], *, from_json: bool = False
) -> bytes | str:
    """Convert a record into what can be compared."""
    try:
        outcome = converter.convert(record, from_json=from_json)
    except RejectedRecord as rejected:
        return f"rejected: {rejected.reason} {rejected.field} {rejected.message}"
    if isinstance(outcome, Skipped):
        return f"skipped: {outcome.reason}"
    assert outcome.identities()
    assert isinstance(outcome.linked_identities(), tuple)
    return ENCODER.encode(outcome)


@BROAD
@given(CALLS, records_of(LEAVES), SETTINGS, SCHEMAS, KEYS)
def test_any_record_is_converted_skipped_or_rejected_alike_and_left_alone(
    call: Any, record: dict[str, Any], chosen: Any, schema: Any, keys: Any
) -> None:
    def converter() -> Converter:
        return new_converter(call, schema, keys, chosen)

    before = copy.deepcopy(record)
    written = repr(record)
    ours = converter()
    first = outcome_of(ours, record)
    assert record == before
    assert repr(record) == written
    assert outcome_of(ours, record) == first
    assert outcome_of(converter(), before) == first


@BROAD
@given(CALLS, records_of(LEAVES), SETTINGS, SCHEMAS)
def test_what_was_converted_before_changes_nothing(
    call: Any, record: dict[str, Any], chosen: Any, schema: Any
) -> None:
    def converter() -> Converter:
        return Converter(call, schema=schema, settings=chosen, draw=lambda: "drawn")

    used = converter()
    for other in ({"event": "x", "traits": {"plan": 1}}, {"plan": 1}, {}):
        outcome_of(used, other)
    assert outcome_of(used, record) == outcome_of(converter(), record)


@BROAD
@given(CALLS, records_of(LEAVES), SETTINGS, SCHEMAS, st.randoms(use_true_random=False))
def test_the_order_of_columns_changes_nothing(
    call: Any, record: dict[str, Any], chosen: Any, schema: Any, draw: Any
) -> None:
    names = list(record)
    draw.shuffle(names)
    shuffled = {name: record[name] for name in names}
    outcomes = [
        outcome_of(new_converter(call, schema, (), chosen), each)
        for each in (record, shuffled)
    ]
    # A record may have several faults, of which either may be found first.
    first, second = (
        each.split(":")[0] if isinstance(each, str) else json.loads(each)
        for each in outcomes
    )
    assert first == second


DATES = st.sampled_from(
    [
        "2023-03-21T14:09:57.123Z",
        "2023-03-21T14:09:57",
        "2023-03-21T14:09",
        "2023-03-21T14:09:57.1+02:00",
        "2023-03-21T14:09:60Z",
        "2023-03-21T24:00:00Z",
        "2023-02-29T00:00:00Z",
        "2023-03-21T14:09:57.123456Z",
        "0000-03-21T14:09:57Z",
        "0001-01-01T00:00:00+12:00",
        "2023-03-21t14:09:57z",
        "2023-W12-2T14:09:57Z",
        'a,"2023-03-21T14:09:57Z",b',
        '2023-03-21T14:09:57Z"',
        '\\"2023-03-21T14:09:57Z',
        "2023-03-21",
        "T",
    ]
)
PARSED = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), TEXTS, DATES, DATES
)


@BROAD
@given(CALLS, records_of(PARSED), SETTINGS, SCHEMAS, KEYS)
def test_decoded_json_is_converted_like_other_records(
    call: Any, record: dict[str, Any], chosen: Any, schema: Any, keys: Any
) -> None:
    def converter() -> Converter:
        return new_converter(call, schema, keys, chosen)

    written = repr(record)
    shorter = outcome_of(converter(), record, from_json=True)
    assert repr(record) == written
    assert shorter == outcome_of(converter(), record)


SECRETS = st.one_of(
    st.none(),
    st.just(MARKED_NUMBER),
    st.just(MARKED_NUMBER + 0.5),
    st.sampled_from(
        [
            MARK,
            f"{MARK}@example.com",
            f" {MARK} ",
            f"cio_{MARK}",
            f'{{"email": "{MARK}"',
            f'{{"email": "{MARK}", "at": "{MARK}"}}',
            f'["{MARK}"]',
            f"2023-13-01T00:00:00Z{MARK}",
        ]
    ),
)


@BROAD
@given(CALLS, records_of(SECRETS), SETTINGS, SCHEMAS, KEYS)
def test_no_rejection_and_no_notice_holds_a_value_of_the_record(
    call: Any, record: dict[str, Any], chosen: Any, schema: Any, keys: Any
) -> None:
    said: list[str] = []
    converter = Converter(
        call,
        stream="a-stream",
        schema=schema,
        key_properties=keys,
        settings=chosen,
        draw=lambda: "drawn",
        notify=said.append,
    )
    rejected: RejectedRecord | None = None
    try:
        outcome = converter.convert(record)
    except RejectedRecord as caught:
        rejected = caught
    else:
        said.append(outcome.reason if isinstance(outcome, Skipped) else "")
    if rejected is not None:
        said += [str(rejected), repr(rejected), rejected.reason, rejected.field]
        assert rejected.__cause__ is None
        assert rejected.__context__ is None or rejected.__suppress_context__
    for line in said:
        assert MARK not in line
        assert str(MARKED_NUMBER) not in line
