"""Everything that the page shows, as one value."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import REASONS, RemovalRefusedError
from target_customerio.log_privacy import exit_code_of, lines_of
from target_customerio.results.counters import UNCHANGED, figure_lines
from target_customerio.settings.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from target_customerio.delivery.sender import RequestStatistics
    from target_customerio.pipeline import Pipeline
    from target_customerio.plan import Plan
    from target_customerio.report.timeline import Period, Sample
    from target_customerio.results.counters import RejectedLine, StreamCounts
    from target_customerio.results.summary import Summary
    from target_customerio.sandbox.sample import People

SHOWN_IN_PART: Final = ("stream_maps",)
"""Settings of which the page names the first keys only: the rest is free text."""

NOT_SHOWN: Final = ("stream_map_config", "faker_config", "batch_config")
"""Settings that may hold a secret, such as the seed of a hash or a key of a bucket."""

EVENTS: Final = frozenset({"person event", "person page", "person screen"})
"""Operations that can trigger campaigns."""

REFUSED: Final = "Customer.io refused the operation"


@dataclass(frozen=True)
class ShownSetting:
    """A setting as the page shows it.

    Attributes:
        name: Its name.
        title: Its title.
        value: Its value; for a secret, only that it is set.
        is_default: Whether it has its default.
    """

    name: str
    title: str
    value: object
    is_default: bool


@dataclass(frozen=True)
class Outcome:
    """How the run ended.

    Attributes:
        exit_code: Exit code of the command.
        error: The lines of the error; empty without one.
        is_complete: Whether the input was read to its end.
        is_refused: Whether the run was a removal that was refused for some streams.
    """

    exit_code: int = 0
    error: tuple[str, ...] = ()
    is_complete: bool = True
    is_refused: bool = False

    @classmethod
    def of(cls, error: BaseException | None, *, is_complete: bool) -> Outcome:
        """Return the outcome of a run.

        Args:
            error: What ended it, if anything did.
            is_complete: Whether the input was read to its end.
        """
        if error is None:
            return cls(is_complete=is_complete)
        return cls(
            exit_code_of(error),
            tuple(lines_of(error)),
            is_complete=is_complete,
            is_refused=isinstance(error, RemovalRefusedError),
        )


@dataclass
class Rejections:
    """The records that were rejected for a reason.

    Attributes:
        reason: The reason.
        meaning: The reason in words.
        count: How many there are.
        streams: How many there are of each stream.
        first: Where the first of them are in the file of rejected records.
    """

    reason: str
    meaning: str
    count: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    first: list[RejectedLine] = field(default_factory=list)


@dataclass(frozen=True)
class Content:
    """Everything that the page shows.

    Attributes:
        started: When the run started.
        ended: When it ended.
        destination: Where the records went.
        is_sandbox: Whether they went into a sandbox.
        workspace: The ``environment_id`` of the workspace, if it is known.
        outcome: How the run ended.
        streams: Counters of each stream.
        figures: Counters of the whole run, each with its text.
        statistics: Totals of the requests.
        samples: The counters over time.
        rejected_path: Path of the file of rejected records.
        run: The id that marks this run's records in that file.
        settings: The settings, without secrets.
        versions: Versions of programs.
        people: The people whom the run concerned; None without a sandbox.
        what: What the run is: ``run`` or ``removal``.
        is_plan: Whether the run or removal is only planned.
        plan: The plan; None unless a plan succeeded.
    """

    started: datetime
    ended: datetime
    destination: str
    is_sandbox: bool
    workspace: int | None
    outcome: Outcome
    streams: Mapping[str, StreamCounts]
    figures: Sequence[tuple[int, str]]
    statistics: RequestStatistics
    samples: Sequence[Sample]
    rejected_path: str
    run: str
    settings: Sequence[ShownSetting]
    versions: Mapping[str, str]
    people: People | None = None
    what: str = "run"
    is_plan: bool = False
    plan: Plan | None = None

    @property
    def kind(self) -> str:
        """What the page is about."""
        parts = [
            "sandbox" if self.is_sandbox else "",
            "" if self.is_plan and self.what == "run" else self.what,
            "plan" if self.is_plan else "",
        ]
        return " ".join(filter(None, parts))

    @property
    def seconds(self) -> float:
        """Seconds from start to end."""
        return (self.ended - self.started).total_seconds()

    @property
    def totals(self) -> dict[str, int]:
        """One total for each outcome of a record; unchanged ones are not in skipped."""
        names = ("read", "delivered", "skipped", "rejected", "undelivered")
        each = [counts.totals for counts in self.streams.values()]
        unchanged = sum(counts.skipped[UNCHANGED] for counts in self.streams.values())
        sums = {name: sum(totals[name] for totals in each) for name in names}
        sums["skipped"] -= unchanged
        return {**sums, "unchanged": unchanged}

    @property
    def ignored(self) -> int:
        """How often the sandbox knows that Customer.io would ignore something."""
        return 0 if self.people is None else sum(r.count for r in self.people.ignored)

    @property
    def rejections(self) -> list[Rejections]:
        """The rejected records by reason, the most frequent first."""
        found: dict[str, Rejections] = {}
        for stream, counts in self.streams.items():
            for reason, count in counts.rejected.items():
                meaning = REASONS.get(reason, REFUSED)
                entry = found.setdefault(reason, Rejections(reason, meaning))
                entry.count += count
                entry.streams[stream] = count
                entry.first += counts.first_rejected.get(reason, ())
        for entry in found.values():
            entry.first.sort(key=lambda line: line.number)
        return sorted(found.values(), key=lambda entry: (-entry.count, entry.reason))


def content_of(
    pipeline: Pipeline, what: str, period: Period, people: People | None
) -> Content:
    """Return everything that the page shows of a run that has ended.

    Args:
        pipeline: The pipeline of the run.
        what: What the run is: ``run`` or ``removal``.
        period: When the run took place.
        people: The people of the sandbox whom it concerned, if it is one.
    """
    settings, recorder = pipeline.settings, pipeline.recorder
    connection = settings.connection
    return Content(
        what=what,
        is_plan=settings.plan,
        plan=pipeline.plan,
        started=period.started,
        ended=period.ended,
        destination=connection.destination,
        is_sandbox=connection.sandbox is not None,
        workspace=pipeline.workspace,
        outcome=Outcome.of(period.error, is_complete=pipeline.is_complete),
        streams=dict(sorted(recorder.summary.streams.items())),
        figures=tuple(_figures(recorder.summary)),
        statistics=pipeline.statistics,
        samples=period.samples,
        rejected_path=settings.rejected_path,
        run=recorder.run,
        settings=tuple(_shown_settings(settings.given)),
        versions=_versions(),
        people=people,
    )


def _figures(summary: Summary) -> Iterator[tuple[int, str]]:
    """Yield counters and texts; 0 recent events only if there were any events."""
    has_events = any(
        counts.delivered.keys() & EVENTS for counts in summary.streams.values()
    )
    return (each for each in figure_lines(summary.figures) if each[0] or has_events)


def _versions() -> dict[str, str]:
    return {
        "target-customerio": version("target-customerio"),
        "Meltano SDK": version("singer-sdk"),
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.machine()}",
    }


def _shown_settings(config: Mapping[str, Any]) -> Iterator[ShownSetting]:
    """Yield the settings that are set, those with another value than the default first.

    Settings of other programs, which may be beside ours, are left out.
    """
    known: Mapping[str, Any] = SCHEMA["properties"]
    shown = [
        ShownSetting(
            name,
            schema.get("title", name),
            _shown_value(name, config[name], schema),
            is_default="default" in schema and config[name] == schema["default"],
        )
        for name, schema in known.items()
        if config.get(name) not in (None, "", {}, [])
    ]
    yield from sorted(shown, key=lambda setting: setting.is_default)


def _shown_value(name: str, value: object, schema: Mapping[str, Any]) -> object:
    if schema.get("secret") or name in NOT_SHOWN:
        return "set, not shown"
    if name in SHOWN_IN_PART and isinstance(value, dict):
        return "set for " + ", ".join(map(str, value))
    return value
