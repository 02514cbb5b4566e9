"""The README's tables say what the code's tables say."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from target_customerio.errors import REASONS
from target_customerio.mapping.actions import ACTIONS
from target_customerio.mapping.fields import (
    BOOKKEEPING,
    CALL_KINDS,
    DELETED_AT,
    INTEGRATIONS,
    MESSAGE_OVERRIDES,
    METADATA_PREFIX,
    SPEC_FIELDS,
    WAREHOUSE_COLUMNS,
)
from target_customerio.sandbox.store import REASONS as ACTIVITY_REASONS
from target_customerio.settings_schema import SETTINGS_OF_STREAMS
from target_customerio.streams import CALL_OF_NAME, CALLS_OF_STREAMS
from target_customerio.track_api import operations

if TYPE_CHECKING:
    from pathlib import Path


def labels() -> set[str]:
    return {
        kind.label
        for kind in vars(operations).values()
        if isinstance(kind, type) and isinstance(getattr(kind, "label", None), str)
    }


def test_the_calls_are_those_that_streams_can_be_mapped_to(
    readme: Any, codes: Any
) -> None:
    calls = [codes(row[0])[0] for row in readme.table("calls")]

    assert sorted(calls) == sorted(CALLS_OF_STREAMS)


def test_a_stream_name_of_the_readme_needs_no_setting(readme: Any, codes: Any) -> None:
    named = {
        name: codes(call)[0]
        for call, names, _ in readme.table("calls")
        for name in codes(names)
        if name != "stream_calls"
    }

    assert named == CALL_OF_NAME


def test_the_settings_of_one_stream_are_those_of_the_code(
    readme: Any, codes: Any
) -> None:
    listed = readme.text.partition("These can be set so:")[2].partition(".\n")[0]

    assert codes(listed) == list(SETTINGS_OF_STREAMS)


def test_the_actions_have_the_event_names_of_the_code(readme: Any, codes: Any) -> None:
    actions = {
        codes(action)[0]: tuple(events.split(", "))
        for action, events, _ in readme.table("actions")
    }

    assert actions == {name: action.events for name, action in ACTIONS.items()}


def test_operations_are_called_what_the_summary_calls_them(
    readme: Any, codes: Any
) -> None:
    rows = [*readme.table("calls"), *readme.table("actions")]
    named = {name for *_, cell in rows for name in codes(cell) if " " in name}

    assert named
    assert named <= labels()


def test_every_operation_but_those_on_many_relationships_has_its_place(
    readme: Any, codes: Any
) -> None:
    rows = [*readme.table("calls"), *readme.table("actions")]
    named = {name for *_, cell in rows for name in codes(cell)}

    assert labels() - named == {
        "person add_relationships",
        "person delete_relationships",
    }


def test_the_columns_left_out_of_flat_rows_are_those_of_the_code(
    readme: Any, codes: Any
) -> None:
    left_out = {of: codes(names) for of, names in readme.table("fields")}

    assert left_out == {
        "every call": [name for name in SPEC_FIELDS if name != DELETED_AT],
        **{
            f"`{call.name}`": list(call.fields)
            for call in CALL_KINDS.values()
            if call.fields
        },
        "rows of an event warehouse": list(BOOKKEEPING),
        "other rows, where it names the stream's own call": ["type"],
        "every row, where it is an object": [INTEGRATIONS],
        "bookkeeping of Singer": [f"{METADATA_PREFIX}*"],
        "addresses of messages, in events, with a warning": list(MESSAGE_OVERRIDES),
        "the context": ["context", "context_*", "context__*"],
    }


def test_an_event_warehouse_is_known_by_the_columns_of_the_code(
    readme: Any, codes: Any
) -> None:
    signs = [tuple(codes(columns)) for (columns,) in readme.table("warehouse")]

    assert signs == list(WAREHOUSE_COLUMNS)


def test_the_reasons_of_rejections_are_those_of_the_code(
    readme: Any, codes: Any
) -> None:
    explained = {codes(reason)[0]: what for reason, what in readme.table("reasons")}

    assert explained == REASONS


def test_every_reason_that_is_given_is_explained(root: Path) -> None:
    given = set()
    for file in (root / "target_customerio").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) == "RejectedRecord":
                given |= {
                    each.value
                    for each in ast.walk(node.args[0])
                    if isinstance(each, ast.Constant) and each.value != "reason"
                }

    assert given <= REASONS.keys()
    assert len(given) > len(REASONS) / 2


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def test_every_module_is_in_the_layout_table_of_the_development_page(
    root: Path,
) -> None:
    package = root / "target_customerio"
    page = (root / "docs" / "development.md").read_text(encoding="utf-8")
    places = page.partition("## Layout")[2].partition("##")[0]
    missing = {
        file.name
        for file in package.glob("*.py")
        if not file.name.startswith("__") and f"{file.name}`" not in places
    }

    assert missing == set()


def test_the_readme_lists_every_reason_of_the_sandboxs_activity(
    readme: Any, codes: Any
) -> None:
    reasons = [reason for row in readme.table("activity") for reason in codes(row[0])]

    assert sorted(reasons) == sorted(ACTIVITY_REASONS)
