"""Flat rows: which columns are traits and properties, and which are not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

CALLS = ["identify", "track", "page", "screen", "group"]
EVENTS = ["track", "page", "screen"]
WHO = {"user_id": "1", "group_id": "g"}
OVERRIDES = ["recipient", "from_address", "reply_to"]


def row_of(call: str, **columns: Any) -> dict[str, Any]:
    """Return a row with all that the call needs, and these columns."""
    needed = {
        "track": {"event": "x"},
        "page": {"name": "x"},
        "screen": {"name": "x"},
    }
    row = {**WHO, **needed.get(call, {}), **columns}
    if call != "group":
        row.pop("group_id")
    return row


@pytest.mark.parametrize("call", CALLS)
def test_every_other_column_of_a_row_is_a_trait_or_property(
    attributes_of: Convert, call: str
) -> None:
    columns = {"plan": "pro", "seats": 5, "paid": True, "tags": ["a"], "geo": {"x": 1}}
    assert attributes_of(call, row_of(call, **columns)) == columns


BOOKKEEPING = [
    "received_at",
    "receivedAt",
    "RECEIVED_AT",
    "sent_at",
    "sentAt",
    "original_timestamp",
    "originalTimestamp",
    "ORIGINAL_TIMESTAMP",
    "uuid_ts",
    "uuid",
    "loaded_at",
    "channel",
    "version",
    "VERSION",
    "type",
    "TYPE",
    "request_ip",
    "rudder_id",
    "rudderId",
    "_metadata",
]
WAREHOUSES: list[dict[str, Any]] = [
    {"event_text": "x"},
    {"EVENT_TEXT": "x"},
    {"event_text": None},
    {"received_at": "7", "original_timestamp": "7"},
    {"received_at": "7", "uuid_ts": None},
    {"RECEIVED_AT": "7", "LOADED_AT": "7"},
    {"receivedAt": "7", "originalTimestamp": "7"},
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "column",
    [
        "message_id",
        "messageId",
        "MESSAGE_ID",
        "timestamp",
        "TIMESTAMP",
        "context_ip",
        "CONTEXT_IP",
        "context_page_url",
        "context__library__name",
        "_sdc_batched_at",
        "_sdc_deleted_at",
        "_sdc_extracted_at",
        "_sdc_received_at",
        "_sdc_sequence",
        "_sdc_table_version",
        "_sdc_anything_else",
        "_SDC_BATCHED_AT",
        "_SDC_DELETED_AT",
        "_Sdc_Anything_Else",
        "id",
        "ID",
    ],
)
def test_the_fields_of_every_call_are_left_out_of_a_row(
    attributes_of: Convert, call: str, column: str
) -> None:
    row = row_of(call, plan="pro", **{column: "7"})
    assert attributes_of(call, row) == {"plan": "pro"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_the_bookkeeping_of_an_event_warehouse_is_left_out_of_its_rows(
    attributes_of: Convert, call: str, warehouse: dict[str, Any]
) -> None:
    row = row_of(call, plan="pro", **warehouse)
    for column in BOOKKEEPING:
        assert attributes_of(call, {**row, column: "7"}) == {"plan": "pro"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("column", BOOKKEEPING)
def test_in_other_rows_the_same_names_are_business_columns(
    attributes_of: Convert, call: str, column: str
) -> None:
    row = row_of(call, plan="pro", **{column: "7"})
    assert attributes_of(call, row) == {"plan": "pro", column: "7"}


@pytest.mark.parametrize("call", CALLS)
def test_a_single_warehouse_column_is_not_enough(
    attributes_of: Convert, call: str
) -> None:
    columns = {"original_timestamp": "7", "uuid_ts": "7", "loaded_at": "7"}
    assert attributes_of(call, row_of(call, **columns)) == columns


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("column", ["type", "TYPE"])
def test_the_type_of_a_row_is_left_out_where_it_names_the_stream_s_own_call(
    attributes_of: Convert, call: str, column: str
) -> None:
    for name in (call, call.upper()):
        assert attributes_of(call, row_of(call, plan="p", **{column: name})) == {
            "plan": "p"
        }
    for kept in ("customer", "alias", "segment", 7, None):
        row = row_of(call, plan="p", **{column: kept})
        assert attributes_of(call, row) == {"plan": "p", column: kept}


def test_an_original_timestamp_of_a_row_is_also_the_call_s_time(
    convert: Convert,
) -> None:
    operation = convert("track", row_of("track", original_timestamp=7))
    assert operation["timestamp"] == 7
    assert operation["attributes"] == {"original_timestamp": 7}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("column", ["project_id", "write_key"])
def test_columns_that_no_spec_names_are_business_columns(
    attributes_of: Convert, call: str, column: str
) -> None:
    assert attributes_of(call, row_of(call, **{column: "7"})) == {column: "7"}


@pytest.mark.parametrize("call", ["page", "screen", "track"])
def test_a_context_column_is_not_a_property(attributes_of: Convert, call: str) -> None:
    row = row_of(call, plan="pro", context={"ip": "1.2.3.4"}, context_ip="1.2.3.4")
    assert attributes_of(call, row) == {"plan": "pro"}


@pytest.mark.parametrize("call", CALLS)
def test_event_text_is_never_a_trait_or_property(
    attributes_of: Convert, call: str
) -> None:
    row = row_of(call, plan="pro", event_text="X")
    assert attributes_of(call, row) == {"plan": "pro"}


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        ("identify", {"name": "Acme"}),
        ("group", {"name": "Acme"}),
        ("track", {"name": "Acme"}),
        ("page", {}),
        ("screen", {}),
    ],
)
def test_name_is_a_page_s_field_but_a_person_s_or_company_s_trait(
    attributes_of: Convert, call: str, kept: dict[str, str]
) -> None:
    attributes = attributes_of(call, row_of(call, name="Acme", plan="pro"))
    assert attributes == {**kept, "plan": "pro"}


@pytest.mark.parametrize(
    ("call", "kept"),
    [("identify", {"event": "Expo"}), ("group", {"event": "Expo"}), ("track", {})],
)
def test_event_is_a_track_s_field_but_a_person_s_trait(
    attributes_of: Convert, call: str, kept: dict[str, str]
) -> None:
    attributes = attributes_of(call, row_of(call, event="Expo", plan="pro"))
    assert attributes == {**kept, "plan": "pro"}


@pytest.mark.parametrize("call", [*EVENTS, "group"])
@pytest.mark.parametrize("column", ["created_at", "createdAt"])
def test_created_at_is_a_property_like_any_other_of_events_and_objects(
    attributes_of: Convert, call: str, column: str
) -> None:
    attributes = attributes_of(call, row_of(call, **{column: "1679407797"}))
    assert attributes == {column: "1679407797"}


@pytest.mark.parametrize("call", EVENTS)
@pytest.mark.parametrize("column", OVERRIDES)
def test_a_row_never_redirects_a_message(
    convert: Convert, call: str, column: str
) -> None:
    notices: list[str] = []
    row = row_of(call, plan="pro", **{column: "eve@example.com"})
    operation = convert(call, row, notify=notices.append)
    assert operation["attributes"] == {"plan": "pro"}
    (notice,) = notices
    assert column in notice
    assert "eve@example.com" not in notice


@pytest.mark.parametrize("call", EVENTS)
def test_ignored_columns_are_warned_of_once_per_stream(
    converter: Callable[..., Any], call: str
) -> None:
    notices: list[str] = []
    ours = converter(call, notify=notices.append)
    ours.convert(row_of(call, plan="pro"))
    assert notices == []
    for _ in range(3):
        for column in OVERRIDES:
            ours.convert(row_of(call, **{column: "eve@example.com"}))
    assert len(notices) == 1
    converter(call, notify=notices.append).convert(row_of(call, recipient="e@e.com"))
    assert len(notices) == 2


@pytest.mark.parametrize("call", EVENTS)
@pytest.mark.parametrize("form", ["object", "text", "flattened"])
def test_inside_properties_an_override_is_the_caller_s_intent(
    convert: Convert, call: str, form: str
) -> None:
    notices: list[str] = []
    overrides = dict.fromkeys(OVERRIDES, "ann@example.com")
    shapes: dict[str, dict[str, Any]] = {
        "object": {"properties": overrides},
        "text": {
            "properties": '{"recipient": "ann@example.com", "from_address": '
            '"ann@example.com", "reply_to": "ann@example.com"}'
        },
        "flattened": {f"properties__{name}": "ann@example.com" for name in OVERRIDES},
    }
    operation = convert(call, row_of(call, **shapes[form]), notify=notices.append)
    assert operation["attributes"] == overrides
    assert notices == []


@pytest.mark.parametrize("call", EVENTS)
def test_columns_next_to_properties_cause_no_warning(
    convert: Convert, call: str
) -> None:
    notices: list[str] = []
    row = row_of(call, recipient="eve@example.com", properties={"plan": "pro"})
    operation = convert(call, row, notify=notices.append)
    assert operation["attributes"] == {"plan": "pro"}
    assert notices == []


@pytest.mark.parametrize(
    ("call", "name", "shown", "meant"),
    [
        ("identify", "\ufeffuser_id", r"'\ufeffuser_id'", "userId"),
        ("identify", " email", "' email'", "email"),
        ("identify", "USER_ID\t", r"'USER_ID\t'", "userId"),
        ("identify", "phone ", "'phone '", "phone"),
        ("identify", "\u200bcreated_at", r"'\u200bcreated_at'", "createdAt"),
        ("identify", " context_device_token", "' context_device_token'", "context"),
        ("identify", "UserID", "'UserID'", "userId"),
        ("identify", "User ID", "'User ID'", "userId"),
        ("identify", "Email", "'Email'", "email"),
        ("identify", "E-mail", "'E-mail'", "email"),
        ("identify", "Phone", "'Phone'", "phone"),
        ("track", "AnonymousId", "'AnonymousId'", "anonymousId"),
        ("track", "\xa0event", r"'\xa0event'", "event"),
        ("group", "\ufeffgroup_id", r"'\ufeffgroup_id'", "groupId"),
        ("segment", "segment_id ", "'segment_id '", "segmentId"),
    ],
)
def test_a_column_is_warned_of_whose_name_is_nearly_that_of_a_field(
    call: str, name: str, shown: str, meant: str, converter: Callable[..., Any]
) -> None:
    notices: list[str] = []
    conversion = converter(call, notify=notices.append)
    for more in ({}, {"plan": "pro"}):
        # Some of the rows are rejected.
        with contextlib.suppress(RejectedRecord):
            conversion.convert({name: "x", " plan": "x", **more})
    (notice,) = notices
    assert f"the columns {shown} are not read as {meant}, since" in notice


@pytest.mark.parametrize(
    ("call", "columns"),
    [
        ("identify", {" plan": "pro", "\ufeffno": 1, "first name ": "Ann"}),
        (
            "identify",
            {"phone": "1", "Phone": "1", "email ": "x", "EMAIL": "a@b.example"},
        ),
        ("identify", {"UserID": 1, "created_at": 1, " created_at": 1}),
        ("identify", {"Type": "a", "Id": 1, "Name": "x", "CreatedAt": 1}),
        ("track", {"Email": "x", " email": "y", "Phone": "1", "Event": "x"}),
        ("group", {"Email": "info@example.com"}),
    ],
)
def test_other_columns_are_not_warned_of(
    call: str, columns: dict[str, Any], convert: Convert
) -> None:
    notices: list[str] = []
    convert(call, row_of(call, **columns), notify=notices.append)
    assert notices == []


OUTSIDE_BODY = [
    ("identify", {"user_id": "1", "traits": {"a": 1}}),
    ("identify", {"USER_ID": "1", "TRAITS": '{"a": 1}'}),
    ("identify", {"user_id": "1", "traits__a": 1}),
    ("group", {"group_id": "1", "traits": {"a": 1}}),
    ("track", {"user_id": "1", "event": "x", "properties": {"a": 1}}),
    ("track", {"user_id": "1", "event": "x", "properties__a": 1}),
    ("page", {"user_id": "1", "name": "x", "properties": []}),
]


@pytest.mark.parametrize(("call", "record"), OUTSIDE_BODY)
def test_columns_outside_a_body_are_warned_of_once(
    converter: Callable[..., Any], call: str, record: dict[str, Any]
) -> None:
    notices: list[str] = []
    conversion = converter(call, notify=notices.append)
    conversion.convert({**record, "plan": None})
    assert notices == []
    for plan in ("pro", "free"):
        conversion.convert({**record, "plan": plan, "sent_at": "2026-01-01"})
    assert len(notices) == 1
    assert "plan" in notices[0]
    assert "sent_at" not in notices[0]


@pytest.mark.parametrize("call", ["identify", "track"])
def test_columns_outside_the_body_of_a_call_cause_no_warning(
    convert: Convert, call: str
) -> None:
    notices: list[str] = []
    record = row_of(call, type=call, rudderId="r", writeKey="k", email="a@example.com")
    bodies: list[dict[str, Any]] = [
        {"traits": {}},
        {"properties": {"a": 1}},
        {"context": {}},
    ]
    for body in bodies:
        convert(call, {**record, **body}, notify=notices.append)
    assert notices == []


@pytest.mark.parametrize("call", ["identify", "group"])
def test_a_person_or_company_may_have_columns_that_override_messages(
    convert: Convert, call: str
) -> None:
    notices: list[str] = []
    columns = dict.fromkeys(OVERRIDES, "ann@example.com")
    operation = convert(call, row_of(call, **columns), notify=notices.append)
    assert operation["attributes"] == columns
    assert notices == []


def test_a_row_s_id_is_not_the_person(convert: Convert) -> None:
    operation = convert("identify", {"id": 7, "email": "ann@example.com", "plan": "p"})
    assert operation["identifiers"] == {"email": "ann@example.com"}
    assert operation["attributes"] == {"email": "ann@example.com", "plan": "p"}


def test_an_id_inside_traits_is_the_caller_s_intent(attributes_of: Convert) -> None:
    record = {"userId": "cio_1", "traits": {"id": "new"}}
    assert attributes_of("identify", record) == {"id": "new"}


def test_an_unused_id_column_is_warned_of_once(converter: Any) -> None:
    notices: list[str] = []
    identify = converter("identify", notify=notices.append)
    for number in (1, 2):
        identify.convert({"id": number, "email": "ann@example.com"})
    assert len(notices) == 1
    assert "id" in notices[0]


def test_an_id_column_next_to_a_user_id_causes_no_warning(converter: Any) -> None:
    notices: list[str] = []
    converter("identify", notify=notices.append).convert({"id": 1, "user_id": 2})
    assert notices == []


def test_a_column_that_is_null_at_first_is_warned_of_later(
    converter: Callable[..., Any],
) -> None:
    notices: list[str] = []
    people = converter("identify", notify=notices.append)
    people.convert({"id": None, "email": "ann@example.com"})
    people.convert({"id": "7", "email": "ann@example.com"})
    assert len(notices) == 1
    orders = converter("track", notify=notices.append)
    order = {"userId": "1", "event": "x", "recipient": "eve@example.com"}
    orders.convert({**order, "properties": {"a": 1}})
    orders.convert({**order, "properties": None})
    assert len(notices) == 2


def test_each_kind_of_warning_is_issued_once(converter: Callable[..., Any]) -> None:
    notices: list[str] = []
    people = converter("identify", notify=notices.append)
    row = {"id": 1, "email": "ann@example.com", "context": "web"}
    for _ in range(3):
        people.convert({**row, "properties": {"rooms": 3}})
        people.convert({**row, "properties": '{"rooms": 4}'})
        people.convert({**row, "PROPERTIES__ROOMS": 5})
        people.convert(row)
    assert len(notices) == 3
    for word in ("column id ", "context", "properties"):
        assert sum(word in notice for notice in notices) == 1


@pytest.mark.parametrize(
    ("call", "container"),
    [
        ("identify", "properties"),
        ("group", "properties"),
        ("track", "traits"),
        ("page", "traits"),
        ("screen", "traits"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{}__plan", "upper"])
def test_a_container_of_another_call_is_ignored_with_a_warning(
    convert: Convert, call: str, container: str, form: str
) -> None:
    notices: list[str] = []
    column = container.upper() if form == "upper" else form.format(container)
    value = "pro" if "plan" in column else {"plan": "pro"}
    row = row_of(call, seats=5, **{column: value})
    assert convert(call, row, notify=notices.append)["attributes"] == {"seats": 5}
    (notice,) = notices
    assert column in notice
    body = "traits" if call in {"identify", "group"} else "properties"
    nested = {name: value for name, value in row.items() if name != "seats"}
    convert(call, {**nested, body: {}}, notify=notices.append)
    convert(call, {**row, column: None}, notify=notices.append)
    assert len(notices) == 1


@pytest.mark.parametrize("call", EVENTS)
@pytest.mark.parametrize("column", OVERRIDES)
def test_upper_case_override_columns_are_ignored_too(
    convert: Convert, call: str, column: str
) -> None:
    notices: list[str] = []
    row = row_of(call, plan="pro", **{column.upper(): "eve@example.com"})
    operation = convert(call, row, notify=notices.append)
    assert operation["attributes"] == {"plan": "pro"}
    assert len(notices) == 1
