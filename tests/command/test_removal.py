"""What is gone from a full table is removed by a step of its own, or refused."""

from __future__ import annotations

import itertools
import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.command import COMMAND, RunningTarget, wait_until
from support.customerio import BATCH, Reply, accept, always

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome
    from support.customerio import Customerio, Request
    from support.loads import Loads

ANN, BEA = "ann@example.com", "bea@example.com"
Row = dict[str, Any]


def removing(call: str, **settings: Any) -> Row:
    return {"call": call, "remove_missing": True, "max_deletions": "10%", **settings}


@pytest.fixture
def loads(loads: Loads) -> Loads:
    """Return runs of a pipeline in which every table but ``crm`` removes."""
    loads.settings["stream_calls"] = {
        "users": removing("identify", max_deletions="50%"),
        "leads": removing("identify"),
        "crm": "identify",
        "companies": removing("group"),
        "members": removing("segment"),
        "aliases": "alias",
    }
    return loads


def people(*numbers: int, **columns: Any) -> list[Row]:
    return [{"user_id": number, "plan": "free", **columns} for number in numbers]


def load(loads: Loads, **tables: Any) -> Outcome:
    outcome = loads.run(**tables)
    assert outcome.code == 0, outcome.stderr
    return outcome


def remove(loads: Loads, **settings: Any) -> Outcome:
    loads.new()
    return loads.type("--remove-missing", **settings)


def removed(loads: Loads, **settings: Any) -> list[Row]:
    """Remove, and return the operations that were sent."""
    outcome = remove(loads, **settings)
    assert outcome.code == 0, outcome.stderr
    return loads.new()


def deleted(*people: int | str) -> list[Row]:
    return [
        {
            "type": "person",
            "identifiers": {"email" if "@" in str(each) else "id": str(each)},
            "action": "delete",
        }
        for each in people
    ]


def names(outcome: Outcome) -> set[str]:
    return {each.removeprefix("id:") for each in outcome.workspace["people"]}


# What it removes


def test_what_is_gone_from_a_table_is_removed_after_the_run(loads: Loads) -> None:
    load(loads, users=people(*range(20)))
    load(loads, users=people(*range(18)))
    assert loads.new()[20:] == []

    outcome = remove(loads)

    assert outcome.code == 0, outcome.stderr
    assert loads.new() == deleted(18, 19)
    assert names(outcome) == {str(number) for number in range(18)}
    lines = outcome.lines("INFO")
    cells = [line.split() for line in lines]
    head = cells.index(["stream", "held", "before", "missing", "to", "remove", "kept"])
    assert cells[head + 2] == ["users", "people", "20", "2", "2"]
    assert lines[-1].startswith("2 removed, 0 rejected, 0 left; 2 requests, 0 retries")
    assert removed(loads) == []


def test_it_reads_no_input(loads: Loads) -> None:
    load(loads, users=people(*range(4)))
    load(loads, users=people(*range(3)))
    config = loads.terminal.write({"sandbox": "workspace.db", **loads.settings})
    feed = "\n".join(map(json.dumps, loads.messages({"users": people(7)})))
    loads.terminal.type("--config", config, "--remove-missing", feed=feed.encode())
    assert loads.new()[-1:] == deleted(3)


def test_an_input_beside_the_step_is_an_error(loads: Loads) -> None:
    (loads.terminal.folder / "rows.jsonl").touch()
    outcome = loads.type("--remove-missing", "--input", "rows.jsonl")
    assert outcome.error == "--remove-missing reads no input; leave out --input"


def test_objects_relationships_and_memberships_are_removed(loads: Loads) -> None:
    def company(name: str, *members: int) -> list[Row]:
        return [{"group_id": name, "user_id": each} for each in members]

    first: Any = {
        "users": people(1, 2),
        "companies": [*company("acme", 1, 2), {"group_id": "hooli"}],
        "members": [{"segment_id": 7, "user_id": each} for each in (1, 2)],
    }
    last: Any = {
        "users": people(1, 2),
        "companies": company("acme", 1),
        "members": [{"segment_id": 7, "user_id": 1}],
    }
    load(loads, users=people(1, 2))
    load(loads, **first)
    load(loads, **last)

    outcome = remove(loads)

    assert outcome.code == 0, outcome.stderr
    workspace = outcome.workspace
    assert [*workspace["objects"]] == ["1:acme"]
    assert [each["person"] for each in workspace["relationships"]] == ["id:1"]
    assert [each["person"] for each in workspace["segment_members"]] == ["id:1"]
    assert names(outcome) == {"1", "2"}


def test_relationships_of_people_are_removed_with_their_own_limit(
    loads: Loads,
) -> None:
    load(loads, users=people(1, 2, object_id="acme"))
    load(loads, users=[*people(1, object_id="acme"), *people(2)])
    (operation,) = removed(loads)
    assert operation["action"] == "delete_relationships"
    assert operation["cio_relationships"] == [{"identifiers": {"id": "2"}}]


def test_settings_for_all_streams_do_not_concern_events(loads: Loads) -> None:
    loads.settings |= {"remove_missing": True, "max_deletions": 1}
    loads.settings["stream_calls"] = {"users": "identify", "tracks": "track"}
    event = {"user_id": 2, "event": "Paid", "id": 1}
    load(loads, users=people(1, 2), tracks=[event])
    load(loads, users=people(1), tracks=[])
    assert removed(loads) == deleted(2)


def test_what_waits_is_removed_later(loads: Loads) -> None:
    load(loads, users=people(1, 2, 3, 4))
    load(loads, users=people(1, 2, 3))
    load(loads, users=people(1, 2))
    assert removed(loads) == deleted(3, 4)


def test_a_stream_that_was_not_in_the_last_pipeline_keeps_its_last_run(
    loads: Loads,
) -> None:
    load(loads, users=people(1, 2), crm=people(1))
    load(loads, users=people(1), crm=people(1))
    load(loads, crm=people(1))
    assert removed(loads) == deleted(2)


# What it refuses


def test_one_of_five_rows_goes_and_two_do_not(loads: Loads) -> None:
    calls = {"users": removing("identify")}
    loads.settings["stream_calls"] = calls
    load(loads, users=people(1, 2, 3, 4, 5))
    load(loads, users=people(1, 2, 3))

    outcome = remove(loads)

    assert outcome.error == (
        "Nothing was removed for 1 stream; stream 'users': 2 of 5 people would be "
        "removed, and max_deletions (10%) allows 1; if that is right, set "
        "max_deletions to 2 for this stream"
    )
    assert loads.new() == []
    load(loads, users=people(1, 2, 3, 4))
    assert removed(loads) == deleted(5)


@pytest.mark.parametrize("allowed", ["2", 2])
def test_the_setting_that_the_message_names_allows_it(
    loads: Loads, allowed: int | str
) -> None:
    load(loads, leads=people(1, 2, 3, 4, 5))
    load(loads, leads=people(1, 2, 3))
    assert remove(loads).code == 1
    loads.settings["stream_calls"]["leads"]["max_deletions"] = allowed
    assert removed(loads) == deleted(4, 5)


def test_a_table_that_is_empty_removes_nothing(loads: Loads) -> None:
    calls = {"users": removing("identify", max_deletions="100%")}
    loads.settings["stream_calls"] = calls
    load(loads, users=people(1, 2, 3))
    load(loads, users=[])
    outcome = remove(loads)
    assert "3 of 3 people would be removed" in outcome.error
    assert "allows 2" in outcome.error
    assert loads.new() == []


EMPTY = (
    "Stream 'users': its table was empty, or stream_maps filtered out all of its rows, "
    "so all that it held before is missing now ({}). If that is wrong, correct it and "
    "run the pipeline again before --remove-missing"
)


def test_a_load_says_that_a_table_was_empty(loads: Loads) -> None:
    load(loads, users=people(1, 2, 3, object_id="acme"), crm=people(1))
    outcome = load(loads, users=[], crm=[])
    expected = [EMPTY.format("3 people, 3 relationships")]
    assert outcome.lines("WARNING") == expected
    assert load(loads, users=[]).lines("WARNING") == expected
    plan = loads.run(settings={"plan": True}, users=[])
    assert plan.lines("WARNING") == expected
    filtered = {"stream_maps": {"users": {"__filter__": "user_id > 3"}}}
    outcome = loads.run(settings=filtered, users=people(1, 2, 3))
    assert outcome.lines("WARNING") == expected
    assert load(loads, users=people(1, object_id="acme")).lines("WARNING") == []


def test_the_warning_counts_only_what_the_step_would_remove(loads: Loads) -> None:
    """The people whom a company or a segment names stay."""
    load(
        loads,
        users=people(1, 2),
        companies=[{"group_id": "acme", "user_id": 1}],
        members=[{"segment_id": 7, "user_id": 2}],
    )
    outcome = load(loads, users=people(1, 2), companies=[], members=[])
    assert outcome.lines("WARNING") == [
        EMPTY.format("1 object, 1 relationship").replace("users", "companies"),
        EMPTY.format("1 membership").replace("users", "members"),
    ]


@pytest.mark.parametrize(
    "settings", [{"stream_calls": {"users": "identify"}}, {"snapshot": "new.db"}]
)
def test_a_load_says_nothing_of_a_table_that_lost_nothing(
    loads: Loads, settings: Row
) -> None:
    """It removes nothing, or held nothing before."""
    load(loads, users=people(1, 2, 3))
    outcome = loads.run(settings=settings, users=[])
    assert outcome.lines("WARNING") == []


def test_a_table_of_one_row_that_is_empty_removes_nothing(loads: Loads) -> None:
    load(loads, users=people(1))
    load(loads, users=[])
    assert "1 of 1 people would be removed" in remove(loads).error


def test_each_kind_is_counted_by_itself(loads: Loads) -> None:
    def members(companies: int) -> list[Row]:
        return [
            {"group_id": number % companies, "user_id": number}
            for number in range(1000)
        ]

    load(loads, companies=[*members(5), *({"group_id": n} for n in range(100))])
    load(loads, companies=[*members(5), *({"group_id": n} for n in range(10))])
    outcome = remove(loads)
    assert "90 of 100 objects would be removed" in outcome.error
    assert loads.new() == []


def test_a_refused_stream_removes_nothing_and_the_others_do(loads: Loads) -> None:
    load(loads, users=people(1, 2), leads=people(*range(10, 20)))
    load(loads, users=people(1), leads=people(10))
    outcome = remove(loads)
    assert "stream 'leads': 9 of 10 people" in outcome.error
    assert loads.new() == deleted(2)


def test_half_a_file_removes_nothing(loads: Loads) -> None:
    """A file that was cut at the end of a line, and one that was cut within."""
    load(loads, leads=people(*range(20)))
    load(loads, leads=people(*range(10)))
    assert "10 of 20 people" in remove(loads).error

    lines = "\n".join(map(json.dumps, loads.messages({"leads": people(*range(20))})))
    cut = lines.encode()[: lines.index('"user_id": 12') + 3]
    config = loads.terminal.write({"sandbox": "workspace.db", **loads.settings})
    assert loads.terminal.type("--config", config, feed=cut).code == 1
    outcome = remove(loads)
    assert "stream 'leads': its last run did not end well" in outcome.error
    assert loads.new() == []


@pytest.mark.parametrize(
    "maps",
    [
        {"users": {"user_id": "str(key)"}},
        {"users": {"__filter__": "user_id > 30"}},
        {"users": {"user_id": "'shop-' + str(user_id)"}},
    ],
    ids=["another key column", "a filter", "a prefix"],
)
def test_a_changed_mapping_removes_nothing(loads: Loads, maps: Row) -> None:
    table = [{**row, "key": row["user_id"] + 100} for row in people(*range(40))]
    load(loads, users=table)
    loads.settings["stream_maps"] = maps
    load(loads, users=table)
    assert "of 40 people would be removed" in remove(loads).error


@pytest.mark.parametrize(
    ("rows", "setting", "value"),
    [
        ("user_id", "user_id_type", "id"),
        ("anonymous_id", "anonymous_identify", "skip"),
    ],
)
def test_a_changed_reading_of_identifiers_removes_nothing(
    loads: Loads, rows: str, setting: str, value: str
) -> None:
    calls = loads.settings["stream_calls"]
    calls["users"] |= {"user_id_type": "auto", "anonymous_identify": "use_as_id"}
    table = [{rows: f"{number}@example.com", "plan": 1} for number in range(40)]
    load(loads, users=table)
    calls["users"][setting] = value
    load(loads, users=table)
    assert "40 of 40 people would be removed" in remove(loads).error


def test_a_table_that_is_mapped_to_another_call_removes_nothing(loads: Loads) -> None:
    load(loads, users=people(1, 2, segment_id=7))
    loads.settings["stream_calls"]["users"]["call"] = "segment"
    assert "its call was identify in its last run" in remove(loads).error
    load(loads, users=people(1, segment_id=7))
    assert removed(loads) == []


UPDATES: Row = {"update_only": True}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (UPDATES, {}, "was update_only in its last run and is not now"),
        ({}, UPDATES, "was not update_only in its last run and is now"),
    ],
)
def test_a_stream_that_becomes_update_only_or_not_is_loaded_first(
    loads: Loads, before: Row, after: Row, words: str
) -> None:
    calls = loads.settings["stream_calls"]
    calls["users"] = removing("identify", max_deletions=9, **before)
    calls["leads"] = removing("identify", max_deletions=9)
    load(loads, users=people(1, 2), leads=people(7, 8))
    load(loads, users=people(1), leads=people(7))
    loads.new()
    calls["users"] = removing("identify", max_deletions=9, **after)

    outcome = loads.type("--plan", "--remove-missing")
    assert f"'users': nothing would be removed: it {words}" in outcome.stderr
    outcome = remove(loads)

    assert outcome.error == (
        f"Nothing was removed for 1 stream; stream 'users': it {words}; run the "
        "pipeline first"
    )
    assert loads.new() == deleted(8)
    load(loads, users=people(1))
    assert removed(loads) == []


def test_update_only_for_all_streams_is_noticed_too(loads: Loads) -> None:
    load(loads, users=people(1, 2))
    load(loads, users=people(1))
    outcome = remove(loads, update_only=True)
    assert "was not update_only in its last run and is now" in outcome.error
    assert loads.new() == []


def test_what_a_stream_held_before_it_became_update_only_stays(loads: Loads) -> None:
    """Another stream that misses the same people does not remove them either."""
    load(loads, users=people(1, 2, 3, 4), crm=people(2, 3))
    load(loads, users=people(1, 2), crm=people(2))
    loads.new()
    crm = loads.settings["stream_calls"]["crm"]
    loads.settings["stream_calls"]["crm"] = {"call": crm, "update_only": True}
    outcome = remove(loads)
    assert outcome.code == 0, outcome.stderr
    assert "1 held by crm" in outcome.stderr
    assert loads.new() == deleted(4)


def test_what_stays_of_an_update_only_stream_is_not_held_by_itself(
    loads: Loads,
) -> None:
    """Not even if another stream holds it too: that would not change anything."""
    loads.settings["update_only"] = True
    load(loads, users=people(*range(20)), crm=people(18))
    load(loads, users=people(*range(15)), crm=people(18))
    loads.new()

    step = loads.type("--plan", "--remove-missing")
    plan = loads.run(settings={"plan": True}, users=people(*range(15)))

    (row,) = [line for line in step.lines("INFO") if line.startswith("users ")]
    assert row.split(maxsplit=5)[2:] == ["20", "5", "0", "5 of an update_only stream"]
    assert "    5 of an update_only stream" in plan.lines("INFO")
    assert "held by" not in step.stderr + plan.stderr
    assert removed(loads) == []


OF_LOADS: tuple[Row, ...] = (
    {"user_id_type": "id", "anonymous_identify": "use_as_id", "hard_delete": True},
    {"user_id_type": "email", "null_attributes": "omit", "identify_timestamp": "omit"},
    {"unmapped_streams": "ignore", "stream_maps": {"users": None}},
    {"stream_maps": {"users": {"user_id": "'shop-' + str(user_id)"}}},
    {"stream_maps": {"users": {"__filter__": "user_id == 1"}}},
    {"stream_maps": {"users": {"__alias__": "people"}}},
    {"validate_records": False, "flattening_enabled": True, "flattening_max_depth": 1},
    {"action_events": {"delete_person": ["Gone"]}, "refresh": True},
)
"""Settings that a load reads, and the step does not."""


def test_other_settings_of_a_load_do_not_change_what_is_removed(loads: Loads) -> None:
    """Everything is removed under the identifier that it was loaded with."""
    loads.settings["stream_calls"]["users"]["max_deletions"] = 9
    rows = [
        *people(1, 2),
        {"user_id": ANN, "plan": "free"},
        {"user_id": "cio_0a1b", "plan": "free"},
        {"anonymous_id": "visitor", "plan": "free"},
        {"user_id": 3, "_sdc_deleted_at": "2026-01-01"},
    ]
    load(loads, users=rows)
    load(loads, users=people(1))
    for changed in OF_LOADS:
        outcome = loads.type("--plan", "--remove-missing", **changed)
        assert outcome.lines("INFO")[-1].startswith("Plan: 3 to remove, "), changed
    every = {name: value for each in OF_LOADS for name, value in each.items()}
    assert removed(loads, **every) == deleted(2, ANN, 3)


def test_what_went_missing_before_the_setting_is_removed_too(loads: Loads) -> None:
    loads.settings["stream_calls"]["users"]["remove_missing"] = False
    load(loads, users=people(1, 2, 3))
    load(loads, users=people(1, 2))
    load(loads, users=people(1, 2))
    loads.settings["stream_calls"]["users"]["remove_missing"] = True
    assert removed(loads) == deleted(3)


@pytest.mark.parametrize(
    "value",
    [
        {"bookmarks": {"users": {"replication_key_value": "2026-01-01"}}},
        {"bookmarks": {"users": {"lsn": 17, "last_replication_method": "LOG_BASED"}}},
        {"bookmarks": {"users": {"updated_at": "2026-01-01T00:00:00Z"}}},
        {"currently_syncing": "users", "bookmarks": {"users": {"offset": 3}}},
        {"users": "2026-01-01T00:00:00Z"},
    ],
    ids=["SDK", "LOG_BASED", "singer-io", "singer-io within a table", "unknown"],
)
def test_an_incremental_stream_removes_nothing(loads: Loads, value: Row) -> None:
    load(loads, users=people(1, 2, 3))
    schema, row = loads.singer.schema("users"), loads.singer.record("users", user_id=1)
    state = {"type": "STATE", "value": value}
    assert loads.terminal.run(schema, row, state, **loads.settings).code == 0
    outcome = remove(loads)
    assert "users': it is not a full table: STATE holds a bookmark" in outcome.error
    assert loads.new() == []


def test_a_run_that_was_aborted_removes_nothing(loads: Loads) -> None:
    load(loads, users=people(1, 2, 3))
    loads.settings["on_rejected"] = "abort"
    assert loads.run(users=[*people(1), {"plan": "free"}, *people(2, 3)]).code == 3
    error = remove(loads).error
    assert "users': its last run did not end well; run the pipeline again" in error


def test_a_row_without_a_readable_identifier_refuses_the_stream(loads: Loads) -> None:
    loads.settings["on_rejected"] = "continue"
    load(loads, users=people(1, 2, 3))
    load(loads, users=[*people(1, 2), {"plan": "free"}])
    outcome = remove(loads)
    assert "records whose identifiers could not be read" in outcome.error
    assert loads.new() == []


HALF = "\ud83d"
"""Half a surrogate pair."""


@pytest.mark.parametrize(
    "columns",
    [
        {"traits": "{"},
        {"plan": HALF},
        {HALF: "free"},
        {"phone": HALF},
        {"bio": "x" * 33_000},
        {"plan": "x" * 1_001},
    ],
    ids=["JSON", "a value", "a name", "a phone", "too large", "refused"],
)
def test_a_row_that_is_rejected_this_time_is_not_missing(
    loads: Loads, columns: Row
) -> None:
    loads.settings["on_rejected"] = "continue"
    load(loads, users=people(1, 2, 3))
    outcome = load(loads, users=[*people(1), {"user_id": 2, **columns}])
    assert len(outcome.rejected) == 1
    assert removed(loads) == deleted(3)


@pytest.mark.parametrize("depth", [900, 2_000])
def test_a_row_that_is_nested_too_deeply_is_not_missing(
    loads: Loads, depth: int
) -> None:
    loads.settings["on_rejected"] = "continue"
    load(loads, users=people(1, 2, 3))
    messages = loads.messages({"users": [*people(1), *people(2, tree="DEEP")]})
    lines = "\n".join(map(json.dumps, messages))
    feed = lines.replace('"DEEP"', "[" * depth + "]" * depth).encode()
    assert loads.terminal.run(feed=feed, **loads.settings).code == 0
    assert removed(loads) == deleted(3)


@pytest.mark.parametrize("columns", [{"name": HALF}, {HALF: "x"}])
def test_a_company_that_is_rejected_this_time_is_not_missing(
    loads: Loads, columns: Row
) -> None:
    loads.settings["on_rejected"] = "continue"
    loads.settings["stream_calls"]["companies"]["max_deletions"] = 1
    rows: Any = [{"group_id": name, "user_id": 1} for name in ("acme", "hooli")]
    load(loads, companies=[*rows, {"group_id": "gone"}])
    load(loads, companies=[rows[0], {**rows[1], **columns}])
    (operation,) = removed(loads)
    assert operation["identifiers"] == {"object_type_id": "1", "object_id": "gone"}


# Who stays


def test_a_renamed_stream_removes_nothing_until_the_old_one_is_forgotten(
    loads: Loads,
) -> None:
    loads.settings["stream_calls"]["people"] = removing("identify", max_deletions=9)
    load(loads, users=people(1, 2, 3))
    loads.settings["stream_maps"] = {"users": {"__alias__": "people"}}
    load(loads, users=people(1, 2, 3))
    load(loads, users=people(1, 2))

    outcome = remove(loads)
    assert outcome.code == 0
    assert loads.new() == []
    (row,) = [line for line in outcome.lines("INFO") if line.startswith("people ")]
    assert row.endswith("1            0  1 held by users")

    outcome = loads.type("--forget", "users")
    assert outcome.code == 0, outcome.stderr
    assert outcome.lines("INFO")[-1] == (
        "Forgotten: users held 3 people. Nothing was changed in Customer.io"
    )
    assert removed(loads) == deleted(3)


def test_two_sources_under_one_alias_hold_for_themselves(loads: Loads) -> None:
    loads.settings["stream_maps"] = {
        name: {"__alias__": "users"} for name in ("eu", "us")
    }
    load(loads, eu=people(1, 2, 3), us=people(3, 4, 5))
    load(loads, eu=people(1, 2, 3))
    assert removed(loads) == []
    load(loads, eu=people(1, 2), us=people(3, 4))
    assert removed(loads) == deleted(5)
    outcome = loads.type("--snapshot-info")
    assert "users (eu)" in outcome.stdout
    assert "users (us)" in outcome.stdout


def test_a_lead_that_became_a_user_stays(loads: Loads) -> None:
    leads = [{"email": ANN}, {"email": BEA}]
    load(loads, leads=leads)
    load(loads, leads=[], users=people(1, email=ANN.upper()))
    loads.settings["stream_calls"]["leads"]["max_deletions"] = 5
    assert removed(loads) == deleted(BEA)


def test_a_merged_person_is_never_removed(loads: Loads) -> None:
    load(loads, users=people(1, 2, 3))
    load(loads, aliases=[{"user_id": 1, "previous_id": 2}])
    load(loads, users=people(1))
    outcome = remove(loads)
    assert outcome.code == 0, outcome.stderr
    assert loads.new() == deleted(3)
    assert "1 without id or e-mail address, merged or suppressed" in outcome.stderr


@pytest.mark.parametrize("bookmark", [{}, {"replication_key_value": "2026"}])
def test_an_incremental_stream_holds_all_that_it_ever_held(
    loads: Loads, bookmark: Row
) -> None:
    load(loads, users=people(1, 2), crm=people(2))
    load(loads, users=people(1))
    messages = [loads.singer.schema("crm")]
    messages.append(loads.singer.state(bookmarks={"crm": bookmark}))
    assert loads.terminal.run(*messages, **loads.settings).code == 0
    assert removed(loads) == ([] if bookmark else deleted(2))


def test_who_leaves_the_table_and_stays_in_a_segment_stays(loads: Loads) -> None:
    members: Any = [{"segment_id": 7, "user_id": 2}, {"segment_id": 7, "user_id": 1}]
    load(loads, users=people(1, 2), members=members)
    load(loads, users=people(1), members=members)
    assert removed(loads) == []
    load(loads, users=people(1), members=members[1:])
    first, second = removed(loads)
    assert first == {"ids": ["2"]}  # the membership
    assert [second] == deleted(2)


def test_a_user_who_was_created_anew_keeps_the_address(loads: Loads) -> None:
    load(loads, users=people(1, email=ANN))
    load(loads, users=[*people(3), *people(2, email=ANN)])
    loads.settings["stream_calls"]["users"]["max_deletions"] = 1
    outcome = remove(loads)
    assert outcome.code == 0, outcome.stderr
    assert loads.new() == deleted(1)

    outcome = load(loads, users=[*people(3), *people(2, email=ANN)])

    assert names(outcome) == {"2", "3"}
    assert outcome.workspace["people"]["id:2"]["email"] == ANN
    assert removed(loads) == []


def test_people_known_by_a_cio_id_are_not_removed(loads: Loads) -> None:
    load(loads, users=[*people(1, 2), {"user_id": "cio_0a1b", "plan": "free"}])
    load(loads, users=people(1))
    assert removed(loads) == deleted(2)


def test_what_an_update_only_stream_holds_is_never_removed(loads: Loads) -> None:
    loads.settings["stream_calls"]["crm"] = removing("identify", update_only=True)
    load(loads, users=people(1, 2, 3), crm=people(2))
    load(loads, users=people(1), crm=[])
    assert removed(loads) == deleted(3)


def test_a_replay_of_rejected_records_removes_nothing(loads: Loads) -> None:
    load(loads, users=people(1, 2, 3))
    loads.settings["on_rejected"] = "continue"
    outcome = load(loads, users=[*people(1, 2), *people(4, plan="x" * 1001)])
    corrected = outcome.rejected_path.read_bytes().replace(b"x" * 1001, b"plus")
    outcome.rejected_path.unlink()
    config = loads.terminal.write({"sandbox": "workspace.db", **loads.settings})
    assert loads.terminal.type("--config", config, feed=corrected).code == 0
    outcome = remove(loads)
    assert outcome.code == 0
    assert loads.new() == deleted(3)
    assert names(outcome) == {"1", "2", "4"}


# Settings and files


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"snapshot": None}, "remove_missing: needs a snapshot"),
        ({"snapshot": "other.db"}, "other.db does not exist; run the pipeline first"),
        (
            {"stream_calls": {"users": "identify"}},
            "remove_missing: not set for any stream in the snapshot",
        ),
        (
            {"stream_calls": {"users": removing("track")}},
            "stream_calls.users.remove_missing: a track stream has nothing that can be",
        ),
        ({"max_deletions": "all"}, "max_deletions: expected a number such as 100"),
        ({"max_deletions": "101%"}, "max_deletions: expected a number such as 100"),
        ({"max_deletions": -1}, "max_deletions: expected at least 0"),
        (
            {"stream_calls": {"users": removing("identify", max_deletions="1e9")}},
            "stream_calls.users.max_deletions: expected a number such as 100",
        ),
        ({"sandbox": "another.db"}, "belongs to workspace"),
    ],
)
def test_wrong_settings_remove_nothing(loads: Loads, settings: Row, error: str) -> None:
    load(loads, users=people(1, 2))
    load(loads, users=people(1))
    assert error in remove(loads, **settings).error
    assert removed(loads) == deleted(2)


def test_it_is_an_error_without_a_snapshot(loads: Loads) -> None:
    calls = {"users": "identify"}
    outcome = loads.type("--remove-missing", snapshot=None, stream_calls=calls)
    assert outcome.error.startswith("snapshot: not set")


def test_a_name_that_the_snapshot_does_not_have_is_named(loads: Loads) -> None:
    load(loads, users=people(1, 2))
    loads.settings["stream_calls"]["user"] = removing("identify")
    del loads.settings["stream_calls"]["users"]
    outcome = remove(loads)
    warning = "stream_calls: the snapshot has no stream 'user' (did you mean 'users'?)"
    assert warning in outcome.lines("WARNING")
    assert "not set for any stream in the snapshot" in outcome.error


def test_versions_of_tables_point_to_the_step(loads: Loads) -> None:
    message = {"type": "ACTIVATE_VERSION", "stream": "users", "version": 7}
    messages = loads.messages({"users": people(1)})
    outcome = loads.terminal.run(*messages, message, message, **loads.settings)
    (line,) = [each for each in outcome.lines("INFO") if "ACTIVATE" in each]
    assert "removed by --remove-missing" in line


def test_the_snapshot_is_described(loads: Loads) -> None:
    load(loads, users=people(1, 2, 3), members=[{"segment_id": 7, "user_id": 1}])
    load(loads, users=people(1, 2))
    outcome = loads.type("--snapshot-info")
    assert outcome.code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    assert lines[0].startswith("Snapshot snapshot.db, 0.")
    assert lines[2] == "3 people, 0 objects, 0 relationships, 1 membership"
    assert lines[3] == "1 name of an attribute, 0 requests without an answer"
    (users,) = [line for line in lines if line.startswith("users ")]
    (head,) = [line for line in lines if line.startswith("stream ")]
    assert head.split() == ["stream", "call", "last", "run", "held", "missing"]
    assert users.split()[-4:] == ["complete", "2", "people", "1"]
    assert "identify" in users
    assert "segment" in outcome.stdout


def test_looking_after_a_snapshot_needs_no_other_setting(loads: Loads) -> None:
    """Not where rejected records go, nor credentials, nor a sandbox that exists."""
    load(loads, users=people(1, 2, 3))
    broken: Row = {
        "sandbox": None,
        "rejected_records_path": "no such folder/rejected.jsonl",
        "report_path": "no such folder/page.html",
    }
    outcome = loads.type("--snapshot-info", **broken)
    assert outcome.code == 0, outcome.stderr
    assert "3 people" in outcome.stdout
    outcome = loads.type("--forget", "users", **broken)
    assert outcome.code == 0, outcome.stderr
    assert outcome.lines("INFO") == [
        "Forgotten: users held 3 people. Nothing was changed in Customer.io"
    ]


@pytest.mark.parametrize(
    ("snapshot", "error"),
    [
        (None, "snapshot: not set; set it to the path of the snapshot"),
        (7, "snapshot: expected the path of the snapshot, as text"),
    ],
)
@pytest.mark.parametrize("option", [["--snapshot-info"], ["--forget", "users"]])
def test_looking_after_no_snapshot_is_an_error(
    loads: Loads, snapshot: Any, error: str, option: list[str]
) -> None:
    assert loads.type(*option, snapshot=snapshot).error == error


def test_a_stream_that_cannot_be_forgotten_is_an_error(loads: Loads) -> None:
    assert "does not exist" in loads.type("--forget", "users").error
    load(loads, users=people(1), crm=people(1))
    assert loads.type("--forget", "user").error == (
        "The snapshot has no stream 'user' (did you mean 'users'?); it has 'users', "
        "'crm'"
    )


# Delivery


def to(server: Customerio) -> dict[str, Any]:
    return {
        "sandbox": None,
        "api_url": server.url,
        "site_id": "a-site",
        "api_key": "a-key",
        "max_retry_seconds": 20,
    }


@pytest.fixture
def server(loads: Loads, stand_in: Callable[..., Customerio]) -> Customerio:
    """Return a Customer.io from which ten people are to be removed."""
    customerio = stand_in()
    customerio.script = accept
    loads.settings |= to(customerio)
    loads.settings["stream_calls"]["users"]["max_deletions"] = 10
    load(loads, users=people(*range(20)))
    load(loads, users=people(*range(10)))
    customerio.requests.clear()
    customerio.taken.clear()
    return customerio


def test_a_removal_is_retried(loads: Loads, server: Customerio) -> None:
    server.reply_next(Reply(503), Reply.of({"region": "us"}), Reply(503))
    outcome = loads.type("--remove-missing")
    assert outcome.code == 0, outcome.stderr
    assert server.taken == deleted(*range(10, 20))


@pytest.mark.parametrize(
    ("setting", "code"), [("fail", 3), ("continue", 0), ("abort", 3)]
)
def test_a_removal_that_is_rejected_is_tried_again_next_time(
    loads: Loads, server: Customerio, setting: str, code: int
) -> None:
    def refuse_one(request: Request) -> Reply:
        if request.path != BATCH:
            return accept(request)
        errors = [
            {"batch_index": at, "reason": "invalid", "field": "id", "message": "bad"}
            for at, each in enumerate(request.operations)
            if each["identifiers"] == {"id": "15"}
        ]
        return Reply.of({"errors": errors})

    server.script = refuse_one
    outcome = loads.type("--remove-missing", on_rejected=setting)
    assert outcome.code == code, outcome.stderr
    assert not outcome.rejected_path.exists()
    if setting == "fail":
        assert outcome.rejection_error.startswith("1 removal was rejected; the next")
    if setting == "abort":
        assert outcome.rejection_error == (
            "Stream 'users': stopped at the first rejected removal, since on_rejected "
            "is abort; the next --remove-missing tries again"
        )
    else:
        assert "9 removed, 1 rejected, 0 left" in outcome.stderr
    server.script = accept
    server.taken.clear()
    assert loads.type("--remove-missing").code == 0
    assert server.taken == deleted(15)


OF_LOADS_ALONE = re.compile(r"STATE|\btap\b|\brecord|\bread\b")
"""Words that no message of the step has."""


def fail_after(requests: int, reply: Reply) -> Callable[[Request], Reply]:
    """Take some requests, and give one answer to all others."""
    taken = itertools.count()

    def answer(request: Request) -> Reply:
        if request.path != BATCH or next(taken) < requests:
            return accept(request)
        return reply

    return answer


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            Reply(503),
            "2 operations .* the next --remove-missing removes what is left",
        ),
        (Reply(429), r".* could not be delivered after .*"),
        (Reply(fault="reset"), r".* could not be delivered after .*"),
        (Reply(401), r"Customer.io refused the credentials \(HTTP 401\): check .*"),
        (Reply(302), r".*region.*"),
    ],
    ids=["503", "429", "reset", "401", "302"],
)
def test_an_outage_ends_the_step_and_the_next_one_goes_on(
    loads: Loads, server: Customerio, reply: Reply, error: str
) -> None:
    server.script = fail_after(2, reply)
    few = {"batch_size_rows": 2, "max_concurrent_requests": 1}
    outcome = loads.type("--remove-missing", max_retry_seconds=0.5, **few)
    assert re.fullmatch(error, outcome.error), outcome.error
    assert not OF_LOADS_ALONE.search(outcome.stderr), outcome.stderr
    assert outcome.stdout == ""
    assert "4 removed, 0 rejected, 6 left; " in outcome.stderr
    assert server.taken == deleted(10, 11, 12, 13)

    server.script = accept
    server.taken.clear()
    outcome = loads.type("--remove-missing")
    assert outcome.code == 0, outcome.stderr
    assert server.taken == deleted(*range(14, 20))
    assert "6 removed, 0 rejected, 0 left; " in outcome.stderr


@pytest.mark.parametrize("status", [401, 503])
def test_an_outage_before_the_step_starts_changes_nothing(
    loads: Loads, server: Customerio, status: int
) -> None:
    server.script = always(Reply(status))
    outcome = loads.type("--remove-missing", max_retry_seconds=0.2)
    assert "HTTP" in outcome.error
    assert not OF_LOADS_ALONE.search(outcome.stderr), outcome.stderr
    # How many there are to remove is not known yet.
    assert outcome.lines("INFO")[-1].startswith("0 removed, 0 rejected; ")
    server.script = accept
    assert loads.type("--remove-missing").code == 0
    assert server.taken == deleted(*range(10, 20))


def slowly(server: Customerio) -> Callable[[Request], Reply]:
    """Answer the first two requests, and the others when the test is over."""

    def answer(request: Request) -> Reply:
        if len(server.posts) > 2:
            server.closing.wait(250)
        return accept(request)

    return answer


def start(
    loads: Loads, command: tuple[str, ...] = (COMMAND,), **more: Any
) -> RunningTarget:
    class Removing(RunningTarget):
        pass

    Removing.command = (*command, "--remove-missing")
    settings = {
        **loads.settings,
        "batch_size_rows": 2,
        "max_concurrent_requests": 1,
        **more,
    }
    settings.pop("sandbox", None)
    return Removing(loads.terminal.folder, settings)


def test_a_removal_that_is_killed_goes_on_next_time(
    loads: Loads, server: Customerio
) -> None:
    server.script = slowly(server)
    target = start(loads)
    wait_until(lambda: len(server.posts) == 3)
    target.kill()
    assert server.taken == deleted(10, 11, 12, 13)
    server.script = accept
    server.taken.clear()
    assert loads.type("--remove-missing").code == 0
    assert server.taken == deleted(*range(14, 20))
    assert loads.type("--remove-missing").code == 0
    assert server.taken == deleted(*range(14, 20))


def test_what_was_removed_counts_if_the_snapshot_cannot_be_written_after_it(
    loads: Loads, server: Customerio
) -> None:
    loads.settings["stream_calls"]["users"]["max_deletions"] = 1_000
    load(loads, users=people(*range(1_000)))
    load(loads, users=people(0))
    server.taken.clear()
    full_disk = ("sh", "-c", 'ulimit -f 100; exec "$@"', "sh", COMMAND)

    target = start(loads, full_disk, batch_size_rows=500)

    assert target.wait() == 1
    assert "cannot be written" in target.only_error()
    count = len(server.taken)
    assert 0 < count < 999
    assert f"{count} removed, 0 rejected, {999 - count} left; " in target.text()
    assert loads.type("--remove-missing").code == 0
    received = {each["identifiers"]["id"] for each in server.taken}
    assert received == {str(number) for number in range(1, 1_000)}


def test_a_second_signal_ends_the_step_and_the_next_one_goes_on(
    loads: Loads, server: Customerio
) -> None:
    server.script = slowly(server)
    target = start(loads)
    wait_until(lambda: len(server.posts) == 3)
    target.signal(signal.SIGTERM)
    wait_until(lambda: "stopped removing" in target.text())
    target.signal(signal.SIGTERM)
    assert target.wait() == 128 + signal.SIGTERM
    assert server.taken == deleted(10, 11, 12, 13)
    server.script = accept
    server.taken.clear()
    assert loads.type("--remove-missing").code == 0
    assert server.taken == deleted(*range(14, 20))


def test_a_signal_stops_the_step_and_the_next_one_goes_on(
    loads: Loads, server: Customerio
) -> None:
    loads.settings["stream_calls"]["users"]["max_deletions"] = 3_000
    load(loads, users=people(*range(3_000)))
    load(loads, users=people(*range(10)))
    server.taken.clear()
    server.requests.clear()

    def answer(request: Request) -> Reply:
        return Reply(delay=0.02) if request.path == BATCH else accept(request)

    server.script = answer
    target = start(loads)
    wait_until(lambda: len(server.posts) > 2)
    target.signal(signal.SIGTERM)
    assert target.wait() == 0, target.text()
    count = len(server.taken)
    assert 4 <= count < 2_990
    assert f"{count:,} removed, 0 rejected, {2_990 - count:,} left" in target.text()
    first, last = (each for each in target.lines("WARNING") if "ignal" in each)
    assert first.startswith("SIGTERM: stopped removing, finishing what was started;")
    assert last == "Stopped by a signal; the next --remove-missing continues"
    assert not OF_LOADS_ALONE.search(target.text())
    assert loads.type("--remove-missing").code == 0
    assert server.taken == deleted(*range(10, 3_000))


def test_a_run_and_a_removal_do_not_use_a_snapshot_together(
    loads: Loads, server: Customerio
) -> None:
    target = RunningTarget(loads.terminal.folder, loads.settings)
    try:
        target.send(*loads.messages({"users": people(1)}))
        target.wait_for_state({"bookmarks": {"users": {}}})
        assert "is in use by another run" in loads.type("--remove-missing").error
    finally:
        target.kill()
    # The killed run is the last one.
    outcome = loads.type("--remove-missing")
    assert "its last run was killed or is still running" in outcome.error
    assert server.taken == people_sent(server)


def people_sent(server: Customerio) -> list[Row]:
    return [each for each in server.taken if each.get("action") == "identify"]


# Plan


def files(loads: Loads) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes()
        for each in loads.terminal.folder.iterdir()
        if each.name != "config.json" and not each.name.endswith(("-wal", "-shm"))
    }


def test_a_plan_of_the_step_removes_nothing(loads: Loads) -> None:
    load(loads, users=people(1, 2, 3, 4), crm=people(2), leads=people(*range(5, 15)))
    load(loads, users=people(1, 4), crm=people(2), leads=people(5))
    before = files(loads)

    outcome = loads.type("--plan", "--remove-missing")

    assert outcome.code == 0, outcome.stderr
    assert files(loads) == before
    rows = [line.split() for line in outcome.lines("INFO")]
    assert ["users", "people", "4", "2", "1", "1", "held", "by", "crm"] in rows
    assert ["leads", "people", "10", "9", "refused"] in rows
    (warning,) = outcome.lines("WARNING")[-1:]
    assert warning.startswith(
        "Stream 'leads': nothing would be removed: 9 of 10 people"
    )
    assert outcome.lines("INFO")[-1] == (
        "Plan: 1 to remove, 1 kept; removal refused for leads; nothing was removed"
    )
    codes = ("--plan", "--remove-missing", "--detailed-exitcode")
    assert loads.type(*codes).code == 4
    assert remove(loads).code == 1
    assert loads.new() == deleted(3)
    assert loads.type(*codes).code == 4  # leads is still refused
    load(loads, leads=people(*range(5, 15)))
    assert loads.type(*codes).code == 0


@pytest.mark.parametrize("flags", [["--remove-missing"], []], ids=["step", "load"])
def test_a_plan_that_would_only_be_refused_is_not_nothing_to_do(
    loads: Loads, flags: list[str]
) -> None:
    rows = people(*range(10, 20))
    load(loads, leads=rows)
    load(loads, leads=rows[:5])
    messages = "\n".join(map(json.dumps, loads.messages({"leads": rows[:5]})))
    config = loads.terminal.write({"sandbox": "workspace.db", **loads.settings})
    command = ["--config", config, "--plan", *flags]

    outcome = loads.terminal.type(
        *command, "--detailed-exitcode", feed=messages.encode()
    )

    assert outcome.code == 4, outcome.stderr
    assert "removal refused for leads" in outcome.lines("INFO")[-1]
    assert loads.terminal.type(*command, feed=messages.encode()).code == 0


def test_a_plan_of_a_load_shows_what_the_step_would_remove_after_it(
    loads: Loads,
) -> None:
    tables: Any = {"users": people(1, 2, 3, 4), "leads": people(5, 6)}
    load(loads, **tables)
    load(loads, users=people(1, 2, 3), crm=people(1, 2))
    loads.settings["plan"] = True
    outcome = loads.run(users=people(1, 4), crm=people(1, 2), leads=[])
    assert outcome.code == 0, outcome.stderr
    rows = [line.split() for line in outcome.lines("INFO")]
    assert ["missing", "people", "1"] in rows
    at = rows.index(["missing,", "but", "not", "to", "remove", "1"])
    assert rows[at + 1] == ["1", "held", "by", "crm"]
    assert "not removed: 2 of 2 people would be removed" in outcome.stderr
    del loads.settings["plan"]
    assert loads.run(users=people(1, 4), crm=people(1, 2), leads=[]).code == 0
    assert remove(loads).code == 1
    assert loads.new() == deleted(3)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param(
            ["--remove-missing", "--forget", "users"],
            "--forget and --remove-missing: only one of them can be given",
            id="forget",
        ),
        pytest.param(
            ["--snapshot-info", "--check"],
            "--check and --snapshot-info: only one of them can be given",
            id="check",
        ),
        pytest.param(
            ["--forget", "users", "--plan"],
            "--forget cannot be planned; leave out plan",
            id="plan",
        ),
    ],
)
def test_options_that_contradict_each_other_change_nothing(
    loads: Loads, options: list[str], problem: str
) -> None:
    load(loads, users=people(1, 2))
    load(loads, users=people(1))
    before = (loads.terminal.folder / "snapshot.db").read_bytes()
    loads.new()
    assert loads.type(*options).error == problem
    assert loads.new() == []
    assert (loads.terminal.folder / "snapshot.db").read_bytes() == before
