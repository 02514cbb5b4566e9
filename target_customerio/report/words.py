"""The words of a page: operations, states, and how the run went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from target_customerio.errors import RecordsRejectedError
from target_customerio.results.counters import counted

if TYPE_CHECKING:
    from target_customerio.plan import Plan
    from target_customerio.report.content import Content
    from target_customerio.sandbox.sample import Person

OPERATIONS: Final = {
    "person identify": ("person added or updated", "people added or updated"),
    "person delete": ("person deleted", "people deleted"),
    "person event": ("event", "events"),
    "person page": ("page view", "page views"),
    "person screen": ("screen view", "screen views"),
    "person add_device": ("device added or updated", "devices added or updated"),
    "person delete_device": ("device removed", "devices removed"),
    "person merge": ("person merged", "people merged"),
    "person suppress": ("person suppressed", "people suppressed"),
    "person unsuppress": ("suppression lifted", "suppressions lifted"),
    "person content report": ("content view or click", "content views and clicks"),
    "object identify": (
        "company (object) added or updated",
        "companies (objects) added or updated",
    ),
    "object identify_anonymous": (
        "company (object) of an anonymous visitor",
        "companies (objects) of anonymous visitors",
    ),
    "object delete": ("company (object) deleted", "companies (objects) deleted"),
    "object add_relationships": ("relationship added", "relationships added"),
    "object delete_relationships": ("relationship removed", "relationships removed"),
    "delivery report": ("delivery report", "delivery reports"),
    "segment add": ("segment member added", "segment members added"),
    "segment remove": ("segment member removed", "segment members removed"),
}
"""Operations in plain words: of one, and of any other number."""


THINGS: Final = {
    "person identify": ("person", "people"),
    "object identify": ("company", "companies"),
    "object identify_anonymous": ("company", "companies"),
    "person event": ("event", "events"),
    "person page": ("event", "events"),
    "person screen": ("event", "events"),
    "segment add": ("segment membership", "segment memberships"),
    "people": ("person", "people"),
    "objects": ("company", "companies"),
    "relationships": ("relationship", "relationships"),
    "memberships": ("segment membership", "segment memberships"),
}
"""What a plan counts, by operation, or by kind of what would be removed."""

OTHER_THING: Final = ("other operation", "other operations")
MAX_THINGS: Final = 2
"""Maximum kinds of things that a headline names."""


def in_words(operation: str, count: int = 0) -> str:
    """Return an operation in plain words."""
    one, many = OPERATIONS.get(operation) or THINGS.get(operation) or (operation,) * 2
    return one if count == 1 else many


PLANNED_STATES: Final = {
    "created": "to create",
    "changed": "to change",
    "removed": "to remove",
    "gone": "to remove",
}
"""States of people and of what they have, on the page of a plan."""


def state_in_words(state: str, is_plan: bool) -> str:  # noqa: FBT001 - a filter's argument
    """Return what happened to a person or to what they have, or would happen."""
    if is_plan:
        return PLANNED_STATES.get(state, state)
    return "removed" if state == "gone" else state


@dataclass(frozen=True)
class Verdict:
    """How the run went, in words.

    Attributes:
        level: ``good``, ``warn`` or ``bad``.
        title: The verdict in a few words.
        text: What it means, and what to do.
    """

    level: str
    title: str
    text: str


def verdict_of(content: Content) -> Verdict:
    """Return how a run went."""
    if content.outcome.exit_code not in {0, RecordsRejectedError.exit_code}:
        return _failure(content)
    if content.plan is not None:
        return _verdict_of_plan(content.plan, content.what)
    if content.what == "removal":
        return _verdict_of_removal(content)
    if not content.outcome.is_complete:
        is_error = content.outcome.error
        where = "at a rejected record" if is_error else "before the input ended"
        return Verdict(
            "warn",
            f"The run was stopped {where}",
            "Everything read until then was delivered. The next run continues from the "
            "last STATE.",
        )
    return _verdict_of_run(content)


def _verdict_of_removal(content: Content) -> Verdict:
    outcome, totals = content.outcome, content.totals
    text = "What was missing from the last runs of streams was removed."
    if not (outcome.is_complete or outcome.error):
        text = "It was stopped by a signal. The next --remove-missing continues."
    if content.ignored:
        text += " Customer.io would accept and ignore some of it, listed below."
    is_good = outcome.is_complete and not (content.ignored or totals["rejected"])
    return Verdict(
        "good" if is_good else "warn",
        f"{counted(totals['delivered'], 'removal')} delivered",
        text,
    )


def _verdict_of_run(content: Content) -> Verdict:
    """Return how a run into Customer.io or a sandbox went that came to its end."""
    totals, ignored = content.totals, content.ignored
    where = " to the sandbox" if content.is_sandbox else ""
    notes = ["Nothing was sent to Customer.io."] if content.is_sandbox else []
    if ignored:
        changes = counted(ignored, "change")
        notes.append(f"Customer.io would accept and ignore {changes}, listed below.")
    if rejected := totals["rejected"]:
        records = counted(rejected, "record was", "records were")
        title = f"{records} rejected, everything else was delivered{where}"
        notes.append("Rejected records are in a file, where they can be corrected.")
        return Verdict("warn", title, " ".join(notes))
    notes.append("No record was rejected.")
    if ignored:
        title = f"Everything was accepted; {changes} would be ignored"
    elif not totals["read"]:
        title, notes = "There were no records", notes[:-1]
    elif totals["unchanged"] == totals["read"]:
        title = "Nothing had changed"
        notes.insert(0, "Everything that was read had been delivered before.")
    else:
        title = f"Everything was delivered{where}"
    return Verdict("warn" if ignored else "good", title, " ".join(notes))


def _failure(content: Content) -> Verdict:
    if content.is_plan:
        return Verdict(
            "bad", "The plan failed", "Nothing was sent, and there is no plan."
        )
    if content.what == "removal":
        if content.outcome.is_refused:
            text = (
                "Anything missing from other streams was removed. The message has the "
                "reasons."
            )
            return Verdict("bad", "The removal was refused for some streams", text)
        text = (
            "The removals counted below were made before the failure. The next "
            "--remove-missing continues."
        )
        return Verdict("bad", "The removal failed", text)
    return Verdict(
        "bad",
        "The run failed",
        "The figures below count what was done before the failure. The next run "
        "continues from the last STATE.",
    )


def _verdict_of_plan(plan: Plan, what: str) -> Verdict:
    totals = plan.totals
    parts = [
        f"{verb} {_things(_planned(plan, name))}"
        for name, verb in (
            ("created", "create"),
            ("changed", "change"),
            ("sent", "send"),
            ("removed", "remove"),
        )
        if totals[name]
    ]
    text = "This is a plan: nothing was sent, and nothing was changed."
    refused = plan.refused_streams
    if refused:
        text += " The removal would be refused for some streams, as listed below."
    level = "warn" if refused or totals["removed"] or totals["rejected"] else "good"
    if refused and not parts:
        title = "The removal would be refused"
        if what != "removal":
            title = "The run would change nothing, and the removal would be refused"
        return Verdict(level, title, text)
    *first, last = parts or ["change nothing"]
    does = f"{', '.join(first)} and {last}" if first else last
    return Verdict(level, f"The run would {does}", text)


def _planned(plan: Plan, name: str) -> Counter[tuple[str, str]]:
    """Return how many things of each kind a total of a plan has."""
    found: Counter[tuple[str, str]] = Counter()
    for stream in plan.streams:
        if name != "removed":
            for each in stream.operations:
                thing = THINGS.get(each.operation, OTHER_THING)
                found[thing] += getattr(each, name)
        elif stream.removal is not None:
            for kind, count in stream.removal.removed.items():
                found[THINGS.get(kind, OTHER_THING)] += count
    return +found


def _things(found: Counter[tuple[str, str]]) -> str:
    """Return how many things there are, and of which kinds if these are few."""
    count = found.total()
    if len(found) > MAX_THINGS:
        return f"{count:,} things"
    kinds = sorted(found, key=OTHER_THING.__eq__)
    if kinds == [OTHER_THING]:
        return counted(count, "operation")
    return f"{count:,} {' and '.join(kind[count != 1] for kind in kinds)}"


def gist(person: Person) -> str:
    """Return in a few words what happened to a person."""
    changes = sum(each.is_change for each in person.attributes)
    counts = {
        "changed attribute": changes if person.state == "changed" else 0,
        "new event": person.new_events,
        "ignored operation": len(person.ignored),
    }
    return ", ".join(counted(count, what) for what, count in counts.items() if count)
