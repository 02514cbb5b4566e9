"""What the figures of a page say, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from target_customerio.report.formats import counted

if TYPE_CHECKING:
    from target_customerio.plan import Plan
    from target_customerio.report.content import Content
    from target_customerio.sandbox.sample import Person

OPERATIONS: Final = {
    "person identify": "people added or updated",
    "person delete": "people deleted",
    "person event": "events",
    "person page": "page views",
    "person screen": "screen views",
    "person add_device": "devices added or updated",
    "person delete_device": "devices removed",
    "person merge": "people merged",
    "person suppress": "people suppressed",
    "person unsuppress": "suppressions lifted",
    "person content report": "content views and clicks",
    "object identify": "companies (objects) added or updated",
    "object identify_anonymous": "companies (objects) of anonymous visitors",
    "object delete": "companies (objects) deleted",
    "object add_relationships": "relationships added",
    "object delete_relationships": "relationships removed",
    "delivery report": "delivery reports",
    "segment add": "segment members added",
    "segment remove": "segment members removed",
}
"""Operations in plain words."""


def in_words(operation: str) -> str:
    """Return an operation in plain words."""
    return OPERATIONS.get(operation, operation)


REJECTED: Final = 3
"""Exit code of a run that has delivered everything but what it rejected."""


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
    if content.outcome.exit_code not in {0, REJECTED}:
        return _failure(content)
    if content.plan is not None:
        return _verdict_of_plan(content.plan)
    outcome, rejected = content.outcome, content.totals["rejected"]
    if content.what == "removal":
        return Verdict(
            "good" if outcome.is_complete and not rejected else "warn",
            f"{counted(content.totals['delivered'], 'removal')} delivered",
            "Removed is what streams held before and did not in their last run.",
        )
    if not outcome.is_complete:
        where = "at a rejected record" if outcome.error else "before the input ended"
        return Verdict(
            "warn",
            f"The run was stopped {where}",
            "What had been read was delivered. The next run continues where the last "
            "STATE was written.",
        )
    return _verdict_of_run(content)


def _verdict_of_run(content: Content) -> Verdict:
    """Return how a run into Customer.io or a sandbox went that came to its end."""
    totals, ignored = content.totals, content.ignored
    where = " to the sandbox" if content.is_sandbox else ""
    notes = ["Nothing was sent to Customer.io."] if content.is_sandbox else []
    if ignored:
        changes = "1 change" if ignored == 1 else f"{ignored:,} changes"
        notes.append(f"Customer.io would accept and ignore {changes}, listed below.")
    if rejected := totals["rejected"]:
        records = "1 record was" if rejected == 1 else f"{rejected:,} records were"
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
            "bad", "The plan failed", "Nothing was sent, and nothing planned."
        )
    if content.what == "removal":
        text = "What is counted below was removed before. A later removal goes on."
        return Verdict("bad", "The removal failed", text)
    return Verdict(
        "bad",
        "The run failed",
        "What is counted below happened before. The next run continues where the last "
        "STATE was written.",
    )


def _verdict_of_plan(plan: Plan) -> Verdict:
    totals = plan.totals
    parts = [
        f"{verb} {totals[name]:,}"
        for name, verb in (
            ("created", "create"),
            ("changed", "change"),
            ("sent", "send"),
            ("removed", "remove"),
        )
        if totals[name]
    ]
    text = "This is a plan: nothing was sent, and nothing was changed."
    if not parts:
        return Verdict("good", "The run would change nothing", text)
    *first, last = parts
    what = f"{', '.join(first)} and {last}" if first else last
    level = "warn" if totals["removed"] or totals["rejected"] else "good"
    return Verdict(level, f"The run would {what}", text)


def gist(person: Person) -> str:
    """Return in a few words what happened to a person."""
    changes = sum(each.is_change for each in person.attributes)
    counts = {
        "changed attribute": changes if person.state == "changed" else 0,
        "new event": person.new_events,
        "ignored operation": len(person.ignored),
    }
    return ", ".join(counted(count, what) for what, count in counts.items() if count)
