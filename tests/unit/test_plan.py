"""The text of a plan."""

from __future__ import annotations

import logging

import pytest

from target_customerio.plan import OperationPlan, Plan, RemovalPlan, StreamPlan
from target_customerio.plan.model import may_be_shown
from target_customerio.plan.text import plan_lines

PLAN = Plan(
    "sandbox workspace.db",
    "snapshot.db",
    (
        StreamPlan(
            "companies",
            33,
            (OperationPlan("object identify", 1, 2, 30, 0, {"name": 2}),),
            removal=RemovalPlan(
                {"objects": 3, "relationships": 0},
                kept=1,
                kept_because=("1 held by crm",),
            ),
        ),
        StreamPlan("orders", 424, (OperationPlan("person event", sent=424),)),
        StreamPlan(
            "users",
            3_001,
            (
                OperationPlan(
                    "person identify", 12, 31, 2_957, 0, {"plan": 29, "city": 2}
                ),
            ),
            rejected={"invalid_email": 1},
            removal=RemovalPlan(refusal="its last run did not end well"),
        ),
    ),
    {"recent_events": 7},
)

TEXT = """
Plan for sandbox workspace.db, compared with snapshot.db; nothing was sent
stream                         read  create  change  unchanged  send  reject  remove  keep
----------------------------  -----  ------  ------  ---------  ----  ------  ------  ----
companies                        33
  object identify                         1       2         30
    name                                          2
  missing objects                                                                  3
  missing, but not to remove                                                             1
    1 held by crm
orders                          424
  person event                                                   424
users                         3,001
  person identify                        12      31      2,957
    plan                                         29
    city                                          2
  invalid_email                                                            1
  not removed: its last run did not end well
7 events are younger than 72 hours and can trigger campaigns
Plan: 13 to create, 33 to change, 424 to send, 3 to remove; 2,987 unchanged, 1 kept, 1 rejected; removal refused for users
"""  # noqa: E501 - as it is logged


def text(plan: Plan) -> str:
    return "".join(f"\n{each.text}" for each in plan_lines(plan)) + "\n"


def test_a_plan_is_a_table_by_stream_and_operation() -> None:
    assert text(PLAN) == TEXT


def test_every_figure_is_a_field_of_a_structured_log() -> None:
    fields = [each.fields for each in plan_lines(PLAN) if each.fields]
    for each in fields:
        logging.getLogger("test").info("", extra=each)  # a reserved name is an error
    assert [each["event_type"] for each in fields] == ["stream_plan"] * 3 + ["plan"]
    users, total = fields[2], fields[3]
    assert users["stream_name"] == "users"
    assert users["operations"][0]["attributes"] == {"plan": 29, "city": 2}
    assert users["rejected_by_reason"] == {"invalid_email": 1}
    assert users["removal"]["refusal"] == "its last run did not end well"
    assert total == {
        "event_type": "plan",
        "to_create": 13,
        "to_change": 33,
        "unchanged": 2_987,
        "to_send": 424,
        "to_remove": 3,
        "kept": 1,
        "refused": 0,
        "rejected": 1,
        "recent_events": 7,
    }


def test_columns_without_numbers_are_left_out() -> None:
    stream = StreamPlan("users", 2, (OperationPlan("person identify", unchanged=2),))
    plan = Plan("https://track.customer.io", "snapshot.db", (stream,))
    lines = text(plan).splitlines()
    assert lines[2] == "stream             read  unchanged"
    assert lines[-1] == "Plan: nothing to send; 2 unchanged"
    assert plan.is_empty


def test_a_plan_without_streams_says_so() -> None:
    plan = Plan("https://track.customer.io")
    assert text(plan).splitlines()[1:] == [
        "Plan for https://track.customer.io; nothing was sent",
        "No streams were loaded",
        "0 events are younger than 72 hours and can trigger campaigns",
        "Plan: nothing to send",
    ]


def test_only_some_of_many_attributes_are_shown() -> None:
    attributes = {f"a{number}": 100 - number for number in range(40)}
    operation = OperationPlan("person identify", changed=100, attributes=attributes)
    lines = text(Plan("x", None, (StreamPlan("users", 100, (operation,)),)))
    assert "    a11 " in lines
    assert "a12" not in lines
    assert "    and 28 more" in lines


def test_what_would_only_be_removed_is_not_nothing() -> None:
    gone = StreamPlan("users", removal=RemovalPlan({"people": 1}))
    assert not Plan("x", "y", (gone,)).is_empty


def test_what_is_refused_is_not_nothing() -> None:
    """The step would end with exit code 1, so somebody has to look at the plan."""
    names = ["crm", "leads", "members", "users", "visitors"]
    refused = RemovalPlan(refusal="its last run did not end well")
    plan = Plan("x", "y", tuple(StreamPlan(each, removal=refused) for each in names))
    assert not plan.is_empty
    assert text(plan).splitlines()[-1] == (
        "Plan: nothing to send; removal refused for crm, leads, members and 2 more"
    )


@pytest.mark.parametrize(
    "name", ["plan", "First name", "Größe", "cio_subscription_preferences.topics.news"]
)
def test_names_of_attributes_are_shown(name: str) -> None:
    assert may_be_shown(name)


@pytest.mark.parametrize("name", ["ann@example.com", "1712", "a\nb", "x" * 61, ""])
def test_names_of_attributes_that_may_be_values_are_not_shown(name: str) -> None:
    assert not may_be_shown(name)
