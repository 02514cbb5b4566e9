"""The page as a text: what it holds, that nothing in it is live, and its file."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from collections import Counter
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_customerio.delivery.sender import RequestStatistics
from target_customerio.errors import (
    DeliveryError,
    RecordsRejectedError,
    RemovalRefusedError,
    SettingsError,
    TargetError,
)
from target_customerio.plan import OperationPlan, Plan, RemovalPlan, StreamPlan
from target_customerio.report.content import Content, Outcome, ShownSetting
from target_customerio.report.formats import time_of
from target_customerio.report.page import render, write
from target_customerio.report.timeline import Sample, Totals
from target_customerio.results.counters import RejectedLine, StreamCounts
from target_customerio.sandbox.sample import (
    Belonging,
    Change,
    Event,
    Ignored,
    IgnoredReason,
    People,
    Person,
)
from target_customerio.sandbox.views import TIME_NAMES

from .conftest import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def content(text: str = "text", **more: Any) -> Content:
    """Return a page's content in which every text of others is the same one."""
    counts = StreamCounts(4, Counter({text: 1}), Counter({text: 1}), Counter({text: 1}))
    counts.first_rejected[text].append(RejectedLine(7, text))
    values: dict[str, Any] = {
        "started": START,
        "ended": START + timedelta(seconds=75),
        "destination": text,
        "is_sandbox": True,
        "workspace": None,
        "outcome": Outcome(1, (text,)),
        "streams": {text: counts},
        "figures": [(3, "events are younger than 72 hours")],
        "statistics": RequestStatistics(5, 2, 1000, 1.5),
        "samples": [
            Sample(0.0, Totals()),
            Sample(1.0, Totals({text: 1}, 1, 1, 5, 2, 0.5)),
        ],
        "rejected_path": text,
        "run": "0123",
        "settings": [ShownSetting("name", "Name", text, is_default=False)],
        "versions": {"Python": text},
        "people": people(text),
    }
    return Content(**{**values, **more})


def people(text: str) -> People:
    belonging = Belonging(text, {text: text}, "new")
    ignored = Ignored(text, text, text, text)
    person = Person(
        text,
        "changed",
        [Change(text, text, None, is_change=True)],
        events=[Event("event", text, 1_700_000_000, {text: text}, is_new=True)],
        all_events=1,
        new_events=1,
        objects=[belonging],
        devices=[belonging],
        segments=[belonging],
        ignored=[ignored],
    )
    reason = IgnoredReason(text, text, 1, [ignored])
    return People({"changed": 1}, [person], [reason])


def plan(text: str = "text") -> Plan:
    operation = OperationPlan(text, 1, 1, 1, 1, {text: 1})
    removal = RemovalPlan({text: 1}, 1, text, (text,))
    stream = StreamPlan(text, 4, (operation,), {text: 1}, {text: 1}, removal)
    return Plan(text, text, (stream,))


class Parsed(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: set[tuple[str, str]] = set()
        self.texts: list[str] = []
        self.raw: dict[str, str] = {}
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements[tag] += 1
        self.attributes |= {(name, value or "") for name, value in attrs}
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"}:
            self.raw[self._inside] = data
        self.texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside.removesuffix(tag)


@pytest.fixture(scope="module")
def harmless() -> Parsed:
    return Parsed(render(content("harmless")))


@pytest.fixture(scope="module")
def harmless_plan() -> Parsed:
    return Parsed(render(content("harmless", plan=plan("harmless"))))


TEXTS = st.text(
    st.characters(codec=None) | st.sampled_from("<>\"'&`={}%/\\\0\u202e\ud800"),
    max_size=40,
)


@settings(max_examples=10)  # each renders a page
@given(text=TEXTS)
@example(text=HOSTILE[0])
@example(text=HOSTILE[1])
@example(text=HOSTILE[2])
@example(text=HOSTILE[3])
@example(text=HOSTILE[5])
@example(text="\ud800")
@example(text="--><svg onload=alert(1)>")
def test_no_text_of_others_becomes_part_of_the_page(
    text: str, harmless: Parsed
) -> None:
    page = render(content(text))
    page.encode()
    parsed = Parsed(page)
    # Charts have elements for what they draw; a text without letters is none of them.
    assert parsed.elements.keys() <= harmless.elements.keys()
    assert parsed.elements["script"] == 1
    assert {name for name, _ in parsed.attributes} <= {
        name for name, _ in harmless.attributes
    }
    assert parsed.raw == harmless.raw


@settings(max_examples=10)  # each renders a page
@given(text=TEXTS)
@example(text=HOSTILE[0])
@example(text=HOSTILE[1])
def test_no_text_of_others_becomes_part_of_a_plan(
    text: str, harmless_plan: Parsed
) -> None:
    parsed = Parsed(render(content(text, plan=plan(text), is_plan=True)))
    assert parsed.elements.keys() <= harmless_plan.elements.keys()
    assert parsed.raw == harmless_plan.raw


@pytest.mark.parametrize("text", [HOSTILE[0], HOSTILE[1], HOSTILE[2], "a & b < c"])
def test_texts_are_shown_as_they_are(text: str) -> None:
    shown = "".join(Parsed(render(content(text))).texts)
    assert shown.count(text) > 20


def test_characters_that_cannot_be_seen_are_written_out() -> None:
    text = "a\u202eb\0c\x1bd\u2066e\ufefff\ud800g\u200eh"
    page = render(content(text))
    assert r"a\u202eb\x00c\x1bd\u2066e\ufefff\ud800g\u200eh" in page
    assert not re.search("[\u202e\0\x1b\u2066\ufeff\ud800\u200e]", page)
    assert "مرحبا 👩‍💻 e\u0301" in render(content("مرحبا 👩‍💻 e\u0301"))


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(
    harmless: Parsed,
) -> None:
    page = render(content())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)

    def digest(tag: str) -> str:
        hashed = hashlib.sha256(harmless.raw[tag].encode()).digest()
        return f"'sha256-{base64.b64encode(hashed).decode()}'"

    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; style-src {digest('style')}; "
        f"script-src {digest('script')}; base-uri 'none'; form-action 'none'"
    )


def test_nothing_is_fetched_and_nothing_is_live(
    harmless: Parsed, harmless_plan: Parsed
) -> None:
    for parsed in (harmless, harmless_plan):
        forbidden = {"link", "img", "iframe", "object", "embed", "form", "a"}
        assert parsed.elements.keys() & forbidden == {"a"}
        links = {value for name, value in parsed.attributes if name == "href"}
        assert links == {"#main"}
        names = {name for name, _ in parsed.attributes}
        assert not {each for each in names if each.startswith("on")}
        assert not names & {"src", "srcset", "style", "action", "background"}
        assert not re.search(r"url\(|@import|https?:", parsed.raw["style"])
        assert not re.search(r"fetch|https?:|eval|innerHTML", parsed.raw["script"])


def test_ids_are_unique_and_what_is_referred_to_exists(
    harmless: Parsed, harmless_plan: Parsed
) -> None:
    for parsed in (harmless, harmless_plan):
        found = Parsed(render(content()))
        ids = [value for name, value in found.attributes if name == "id"]
        assert len(ids) == len({*ids})
        for name in ("aria-labelledby", "aria-controls", "for"):
            used = {value for each, value in parsed.attributes if each == name}
            assert used <= {value for each, value in parsed.attributes if each == "id"}


@pytest.mark.parametrize(
    ("error", "code", "title"),
    [
        (None, 0, "Everything was delivered"),
        (RecordsRejectedError("3 records"), 3, "everything else was delivered"),
        (DeliveryError("unreachable"), 1, "The run failed"),
        (SettingsError("one", "two"), 1, "The run failed"),
        (ValueError("a value of a record"), 1, "The run failed"),
        (KeyboardInterrupt(), 1, "The run failed"),
    ],
)
def test_the_verdict_follows_the_outcome(
    error: BaseException | None, code: int, title: str
) -> None:
    if error is not None:
        with pytest.raises(type(error)):
            raise error
    outcome = Outcome.of(error, is_complete=True)
    assert outcome.exit_code == code
    rejected = Counter({"schema": 3}) if code == 3 else Counter()
    counts = StreamCounts(3, Counter(), Counter(), rejected)
    more: dict[str, Any] = {
        "is_sandbox": False,
        "people": None,
        "streams": {"users": counts},
    }
    page = render(content(**{**more, "outcome": outcome}))
    assert title in page
    assert "a value of a record" not in page
    for line in outcome.error:
        assert line in page


def test_a_run_that_was_stopped_says_so() -> None:
    outcome = Outcome.of(None, is_complete=False)
    assert "The run was stopped before the input ended" in render(
        content(outcome=outcome)
    )


@pytest.mark.parametrize("seconds", [0.0, 0.04, 1.0, 9.9, 10.0, 90.0, 4000.0])
def test_a_run_of_any_length_has_a_page(seconds: float) -> None:
    totals = Totals({"person event": 10}, requests=2)
    samples = [Sample(seconds * part / 9, totals) for part in range(10)]
    samples[0] = Sample(0.0, Totals())
    page = render(content(samples=samples, ended=START + timedelta(seconds=seconds)))
    assert ("Operations delivered per second" in page) == (seconds >= 10)
    assert ("Requests per second" in page) == (seconds >= 10)


def test_rejections_are_drawn_if_they_differ() -> None:
    def page(*counts: int) -> str:
        reasons = Counter({f"reason {n}": count for n, count in enumerate(counts)})
        streams = {"users": StreamCounts(sum(counts), rejected=reasons)}
        return render(content(streams=streams))

    assert "Rejected records by reason" not in page(1, 1, 1)
    assert "Rejected records by reason" not in page(4)
    assert "Rejected records by reason" in page(2, 1)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("created_at", "1771149600", "15 Feb 2026, 10:00:00 UTC"),
        ("signed_up", "1771149600", "15 Feb 2026, 10:00:00 UTC"),
        ("lastSeen", "1771149600", "15 Feb 2026, 10:00:00 UTC"),
        ("birth_date", "-1", "31 Dec 1969, 23:59:59 UTC"),
        ("trialEndsAt", "0", "1 Jan 1970, 00:00:00 UTC"),
        ("created_at", "4102444800", None),
        ("created_at", "1771149600000", None),
        ("signed_up", "3", None),
        ("order_number", "1771149600", None),
        ("phone", "1771149600", None),
        ("format", "1771149600", None),
    ],
)
def test_times_are_recognised_by_name_and_size(
    name: str, value: str, shown: str | None
) -> None:
    assert time_of(name, value) == shown


@given(st.sampled_from(TIME_NAMES), st.integers(-2_208_988_800, 4_102_444_799))
def test_what_the_views_show_as_a_time_is_one_on_the_page(name: str, when: int) -> None:
    attribute = name.replace("[a-z]", "x").replace("*", "trial")
    assert time_of(attribute, str(when)) is not None


def test_attributes_have_the_whole_width_if_there_is_nothing_beside_them() -> None:
    change = Change("plan", "free", "pro", is_change=True)
    alone = People({"changed": 1}, [Person("a", "changed", [change])])
    assert render(content(people=alone)).count('<div class="part">') == 1
    assert render(content()).count('<div class="part">') == 2


def test_a_time_comes_before_its_number() -> None:
    change = Change("signed_up", None, "1771149600", is_change=True)
    page = render(
        content(people=People({"created": 1}, [Person("a", "created", [change])]))
    )
    assert 'UTC<span class="meaning">1771149600</span>' in page


@pytest.mark.parametrize(
    ("is_plan", "text"), [(False, "no longer exists"), (True, "would no longer exist")]
)
def test_a_planned_removal_removes_nobody(*, is_plan: bool, text: str) -> None:
    people = People({"removed": 1}, [Person("a", "removed", [])])
    more: Any = {"what": "removal", "is_plan": is_plan}
    assert f"This person {text}: " in render(content(people=people, **more))


def test_a_run_without_anything_has_a_page() -> None:
    empty: Any = {"streams": {}, "samples": [Sample(0.0, Totals())], "figures": []}
    more: Any = {"people": People(), "settings": [], "statistics": RequestStatistics()}
    page = render(content(**empty, **more, outcome=Outcome()))
    assert "No streams were loaded" in page
    assert "The run concerned no people" in page
    assert "No record was rejected" in page


def test_a_plan_that_would_change_nothing_says_so() -> None:
    nothing = StreamPlan("users", 3, (OperationPlan("person identify", unchanged=3),))
    page = render(
        content(
            plan=Plan("sandbox x", "s.db", (nothing,)), is_plan=True, outcome=Outcome()
        )
    )
    assert "The run would change nothing" in page


@pytest.mark.parametrize(
    ("what", "title"),
    [
        ("removal", "The removal would be refused"),
        ("run", "The run would change nothing, and the removal would be refused"),
    ],
)
def test_a_plan_of_which_all_is_refused_says_so(what: str, title: str) -> None:
    removal = RemovalPlan(refusal="it is not a full table", refused={"people": 7})
    refused = Plan("sandbox x", "s.db", (StreamPlan("users", removal=removal),))
    more: Any = {"what": what, "is_plan": True, "outcome": Outcome()}
    page = render(content(plan=refused, **more))
    assert f"{title}</h1>" in page
    assert "<b>7</b> missing, refused to remove" in page
    assert "<b>7</b> people</li>" in page
    assert "it is not a full table" in page


@pytest.mark.parametrize("is_plan", [True, False], ids=["planned", "done"])
def test_what_is_only_planned_is_not_in_the_past_tense(*, is_plan: bool) -> None:
    states = ("created", "changed", "removed", "unchanged")
    devices = [Belonging("x", {}, "gone"), Belonging("y", {}, "new")]
    sample = [Person(state, state, [], devices=devices) for state in states]
    page = render(
        content(people=People(dict.fromkeys(states, 1), sample), is_plan=is_plan)
    )
    badges = re.findall(r'class="badge (\w+)">([\w ]+)<', page)
    done = [("gone", "removed"), *((state, state) for state in states)]
    planned = [(state, f"to {state.removesuffix('d')}") for state in states[:3]]
    expected = [("gone", "to remove"), *planned] if is_plan else done
    assert {*badges} == {*expected, ("new", "new"), ("unchanged", "unchanged")}


def test_rejected_removals_are_in_no_file() -> None:
    page = render(content(what="removal", people=None))
    rejected = page.partition('id="rejected"')[2].partition("</section>")[0]
    assert "the next <code>--remove-missing</code> tries them again" in rejected
    assert "file." not in rejected.replace("in no file:", "")
    assert "First lines" not in rejected
    assert "line 7" not in rejected


@pytest.mark.parametrize(
    ("error", "is_complete", "expected"),
    [
        (None, True, "What was missing from the last runs of streams was removed"),
        (
            None,
            False,
            "It was stopped by a signal. The next --remove-missing",
        ),
        (RemovalRefusedError("x"), False, "The removal was refused for some streams"),
        (DeliveryError("x"), False, "The next --remove-missing continues."),
    ],
    ids=["done", "stopped", "refused", "failed"],
)
def test_the_page_of_a_removal_says_how_it_ended(
    *, error: TargetError | None, is_complete: bool, expected: str
) -> None:
    outcome = Outcome.of(error, is_complete=is_complete)
    page = render(content(what="removal", people=None, outcome=outcome))
    assert expected in page
    assert "STATE" not in page


def test_names_are_bounded() -> None:
    attributes = {f"attribute_{number}": 5000 - number for number in range(5000)}
    operation = OperationPlan("person identify", changed=5000, attributes=attributes)
    planned = Plan("x", "s.db", (StreamPlan("users", 1, (operation,)),))
    page = render(content(plan=planned, is_plan=True))
    assert "attribute_19" in page
    assert "attribute_20" not in page
    assert "and 4,980 more attributes" in page


def test_the_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("r" * 200 + ".html")
    path.write_text("before", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write(path, "after", is_private=True)
    assert path.read_text(encoding="utf-8") == "before"
    assert [*tmp_path.iterdir()] == [path]
    write(path, "after", is_private=True)
    assert path.read_text(encoding="utf-8") == "after"
    assert [*tmp_path.iterdir()] == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_that_appears_during_the_run_is_replaced(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "report.html"
    target.write_text("kept", encoding="utf-8")
    path.symlink_to(target)
    write(path, "page", is_private=False)
    assert target.read_text(encoding="utf-8") == "kept"
    assert not path.is_symlink()
