"""The page that a run leaves behind: when it is written, and what it holds."""

from __future__ import annotations

import os
import signal
import stat
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from support.command import RunningTarget

from target_customerio import deliver
from target_customerio.errors import RecordsRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.command import Outcome, Terminal
    from support.customerio import Customerio
    from support.forks import ForkServer
    from support.singer import Singer

PRIVATE = "ada-lovelace-4711"
PAGE = "report.html"


def messages(singer: Singer) -> list[Any]:
    return [
        singer.schema("identifies"),
        singer.schema("tracks"),
        singer.record("identifies", userId=PRIVATE, traits={"plan": PRIVATE}),
        singer.record("identifies", anonymousId=PRIVATE),
        singer.record("tracks", userId=PRIVATE, event="Order"),
        singer.record("tracks", userId=PRIVATE),
        singer.state(reached="the end"),
    ]


def page_of(outcome: Outcome) -> str:
    return (outcome.folder / PAGE).read_text(encoding="utf-8")


def delivered(
    terminal: Terminal, singer: Singer, server: Customerio, **more: Any
) -> Outcome:
    settings = {"site_id": "open-sesame", "api_key": "key-4712", "report_path": PAGE}
    return terminal.run(
        *messages(singer), sandbox=None, api_url=server.url, **{**settings, **more}
    )


def test_the_page_has_the_figures_of_the_summary(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    outcome = delivered(terminal, singer, stand_in(greets=True))
    assert outcome.code == 3
    page = page_of(outcome)
    assert "<b>4</b> records read" in page
    assert "<b>2</b> delivered" in page
    assert "72 hours" in page
    assert "<b>1</b> person added or updated" in page
    assert "<b>1</b> anonymous identify" in page
    assert "line 2, field <code><bdi>event</bdi></code>" in page
    assert outcome.rejected[0]["rejection"]["run"] in page
    assert outcome.errors[0] in page


def test_the_page_of_a_run_holds_no_record_and_no_credential(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    outcome = delivered(
        terminal,
        singer,
        stand_in(greets=True),
        stream_maps={"tracks": {"salt": "'salt-4713'"}},
        stream_map_config={"hash_seed": "seed-4714"},
    )
    page = page_of(outcome)
    for word in (PRIVATE, "open-sesame", "key-4712", "salt-4713", "seed-4714"):
        assert word not in page


@pytest.mark.parametrize(
    ("status", "code"), [(200, 3), (401, 1), (503, 1)], ids=["ok", "refused", "down"]
)
def test_a_run_that_fails_leaves_a_page_too(
    status: int,
    code: int,
    terminal: Terminal,
    singer: Singer,
    stand_in: Callable[..., Customerio],
) -> None:
    outcome = delivered(
        terminal, singer, stand_in(status, greets=True), max_retry_seconds=0
    )
    assert outcome.code == code
    page = page_of(outcome)
    assert f"<dd>{code}</dd>" in page
    assert outcome.errors[-1] in unescape(page)
    assert ("The run failed" in page) == (code == 1)


def test_a_run_whose_input_is_wrong_leaves_what_came_before(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        b"not Singer\n",
        report_path=PAGE,
    )
    assert outcome.code == 1
    page = page_of(outcome)
    assert "The run failed" in page
    assert "<b>1</b> delivered to the sandbox" in page


def test_an_earlier_page_is_replaced(terminal: Terminal, singer: Singer) -> None:
    file = terminal.folder / PAGE
    file.write_text("an earlier page", encoding="utf-8")
    file.chmod(0o666)
    assert terminal.run(*messages(singer), report_path=PAGE).code == 3
    assert "an earlier page" not in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600  # it holds records
    assert [each.name for each in terminal.folder.iterdir() if PAGE in each.name] == [
        PAGE
    ]


def test_a_page_without_records_has_the_usual_permissions(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    outcome = delivered(terminal, singer, stand_in(greets=True))
    (terminal.folder / "usual").touch()
    modes = {(outcome.folder / name).stat().st_mode for name in (PAGE, "usual")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("folder", "not a regular file"),
        ("link", "not a regular file"),
        ("pipe", "not a regular file"),
        ("nowhere/report.html", "its folder does not exist"),
        ("usual/report.html", "its folder does not exist"),
        ("/proc/report.html", "cannot be written"),
        ("workspace.db", "is the path of sandbox too"),
        ("./rejected.singer.jsonl", "is the path of rejected_records_path too"),
    ],
)
def test_a_path_that_cannot_be_used_ends_the_run_at_its_start(
    path: str, why: str, terminal: Terminal, singer: Singer
) -> None:
    folder = terminal.folder
    (folder / "folder").mkdir()
    (folder / "usual").touch()
    (folder / "link").symlink_to("usual")
    os.mkfifo(folder / "pipe")
    outcome = terminal.run(*messages(singer), report_path=path)
    assert outcome.code == 1
    assert outcome.errors[0].startswith("report_path: ")
    assert any(why in line for line in outcome.errors)
    assert outcome.states == []


def test_a_page_that_cannot_be_written_does_not_change_how_the_run_ends(
    tmp_path: Path, singer: Singer, forks: ForkServer
) -> None:
    (tmp_path / "pages").mkdir()
    settings = {"sandbox": "workspace.db", "report_path": "pages/report.html"}
    target = RunningTarget(tmp_path, settings, forks=forks)
    target.send(singer.schema("identifies"), singer.record("identifies", userId="ada"))
    target.wait_until_read()
    (tmp_path / "pages").rmdir()
    target.send(singer.state(reached="the end"))
    target.close_input()
    assert target.wait() == 0
    assert target.states == [{"reached": "the end"}]
    (warning,) = target.lines("WARNING")
    assert warning == (
        "Cannot write the report to pages/report.html (No such file or directory); "
        "check report_path and the disk"
    )


def test_no_page_is_written_without_the_setting(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(*messages(singer))
    assert not [*outcome.folder.glob("*.html")]
    assert "Report written" not in outcome.stderr


def test_a_check_writes_no_page(terminal: Terminal) -> None:
    config = terminal.write({"sandbox": "workspace.db", "report_path": PAGE})
    assert terminal.type("--config", config, "--check").code == 0
    assert not (terminal.folder / PAGE).exists()


def test_rows_of_a_program_leave_a_page(tmp_path: Path) -> None:
    config = {
        "sandbox": str(tmp_path / "workspace.db"),
        "rejected_records_path": str(tmp_path / "rejected.jsonl"),
        "report_path": str(tmp_path / PAGE),
    }
    rows = [{"userId": "ada"}, {"userId": " "}]
    with pytest.raises(RecordsRejectedError):
        deliver(rows, call="identify", config=config, stream="users")
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "1 record was rejected, everything else was delivered to the sandbox" in page


class TestThePageOfAPlan:
    @pytest.fixture
    def settings(self, stand_in: Callable[..., Customerio]) -> dict[str, Any]:
        call = {"call": "identify", "remove_missing": True}
        return {
            "sandbox": None,
            "site_id": "open-sesame",
            "api_key": "key-4712",
            "api_url": stand_in(greets=True).url,
            "snapshot": "snapshot.db",
            "identify_timestamp": "omit",
            "on_rejected": "continue",
            "stream_calls": {"users": call},
        }

    def load(
        self, terminal: Terminal, singer: Singer, settings: Any, *people: Any
    ) -> Outcome:
        records = [
            singer.record("users", userId=f"{PRIVATE}-{name}", plan=plan)
            for name, plan in people
        ]
        events = [
            singer.record("tracks", userId=PRIVATE, event="Order"),
            singer.record("tracks", userId=PRIVATE),
        ]
        schemas = [singer.schema("users"), singer.schema("tracks")]
        return terminal.run(*schemas, *records, *events, **settings)

    def test_it_tells_what_would_change_and_holds_no_record(
        self, terminal: Terminal, singer: Singer, settings: dict[str, Any]
    ) -> None:
        before = [("a", "x"), ("b", "x"), ("c", "x"), ("d", "x"), ("e", "x")]
        assert self.load(terminal, singer, settings, *before).code == 0
        files = {*terminal.folder.iterdir()}
        planned = settings | {"plan": True, "report_path": PAGE}
        after = [("a", f"{PRIVATE}-y"), ("b", "x"), ("c", "x"), ("d", "x"), ("f", "x")]
        outcome = self.load(terminal, singer, planned, *after)
        assert outcome.code == 0
        page = page_of(outcome)
        assert "Exit code" not in page
        title = (
            "The run would create 1 person, change 1 person, send 1 event and remove "
            "1 person"
        )
        assert title in page
        assert "<h3><bdi>users</bdi>: people added or updated</h3>" in page
        assert '<th scope="row"><bdi>plan</bdi></th><td class="n">1</td>' in page
        assert "<b>1</b> person</li>" in page
        assert "line 9, field <code><bdi>event</bdi></code>" in page
        assert "events are younger than 72 hours" in page or "event is younger" in page
        assert PRIVATE not in page
        assert {*terminal.folder.iterdir()} - files == {terminal.folder / PAGE}

    def test_a_plan_that_fails_leaves_a_page_that_says_so(
        self, terminal: Terminal, singer: Singer, settings: dict[str, Any]
    ) -> None:
        planned = settings | {"plan": True, "report_path": PAGE}
        outcome = terminal.run(singer.schema("users"), b"not Singer\n", **planned)
        assert outcome.code == 1
        page = page_of(outcome)
        assert "The plan failed" in page
        assert outcome.error in unescape(page)

    @pytest.mark.parametrize("flags", [["--plan"], []], ids=["planned", "done"])
    def test_a_removal_leaves_a_page_too(
        self,
        flags: list[str],
        terminal: Terminal,
        singer: Singer,
        settings: dict[str, Any],
    ) -> None:
        names = "abcdefghijk"
        self.load(terminal, singer, settings, *((name, "x") for name in names))
        self.load(terminal, singer, settings, *((name, "x") for name in names[1:]))
        config = terminal.write(settings | {"report_path": PAGE})
        outcome = terminal.type("--config", config, "--remove-missing", *flags)
        assert outcome.code == 0, outcome.stderr
        page = page_of(outcome)
        if flags:
            assert "The run would remove 1 person" in page
            assert "to create" not in page
            assert "What would happen" not in page
            assert "What would be removed" in page
        else:
            assert "1 removal delivered" in page
            assert "<b>1</b> person deleted" in page
            assert "<b>1</b> to remove" in page
            assert "record read" not in page
        assert PRIVATE not in page

    def test_a_removal_from_a_sandbox_shows_who_would_be_removed(
        self, terminal: Terminal, singer: Singer, settings: dict[str, Any]
    ) -> None:
        for name in ("site_id", "api_key", "api_url"):
            del settings[name]
        settings |= {"sandbox": "workspace.db"}
        names = "abcdefghijk"
        self.load(terminal, singer, settings, *((name, "x") for name in names))
        self.load(terminal, singer, settings, *((name, "x") for name in names[1:]))
        config = terminal.write(settings | {"report_path": PAGE})
        files = [terminal.folder / name for name in ("workspace.db", "snapshot.db")]
        before = [each.read_bytes() for each in files]
        command = ("--config", config, "--remove-missing")
        outcome = terminal.type(*command, "--plan")
        assert outcome.code == 0, outcome.stderr
        planned = page_of(outcome)
        assert [each.read_bytes() for each in files] == before
        assert "1 removed" not in outcome.stderr
        assert terminal.type(*command).code == 0
        done = page_of(outcome)
        for page, badge in ((planned, "to remove"), (done, "removed")):
            shown = f'<span class="badge removed">{badge}</span>'
            assert f"<bdi>{PRIVATE}-a</bdi></span> {shown}" in page
            assert f"{PRIVATE}-b" not in page
        assert "The run would remove 1 person" in planned
        assert "1 removal delivered" in done
        assert terminal.type(*command, "--plan").code == 0
        nothing = page_of(outcome)
        assert "No person of the sandbox would be removed or changed" in nothing

    def test_it_tells_what_the_removal_would_remove_keep_and_refuse(
        self, terminal: Terminal, singer: Singer, settings: dict[str, Any]
    ) -> None:
        """The page of the load's plan, of the step's plan and of the step."""
        calls = settings["stream_calls"]
        calls["crm"] = "identify"
        calls["leads"] = {"call": "identify", "remove_missing": True}
        calls["members"] = {"call": "segment", "remove_missing": True}

        def load(many: int, **more: Any) -> Outcome:
            tables: dict[str, list[dict[str, Any]]] = {
                "users": [{"user_id": each} for each in range(many, 40)],
                "crm": [{"user_id": 0}],
                "leads": [{"email": f"{n}@example.org"} for n in range(many, 4)],
                "members": [
                    {"segment_id": 7, "user_id": 10 + n} for n in range(many, 8)
                ],
            }
            messages: list[Any] = []
            for stream, rows in tables.items():
                messages.append(singer.schema(stream))
                messages += [singer.record(stream, **row) for row in rows]
            return terminal.run(*messages, **settings, **more)

        for _ in range(2):  # memberships of people whom the snapshot knows
            assert load(0).code == 0
        outcome = load(3, plan=True, report_path=PAGE)
        assert outcome.code == 0, outcome.stderr
        planned = page_of(outcome)
        assert load(3).code == 0
        calls["members"]["max_deletions"] = 1
        config = terminal.write(settings | {"report_path": PAGE})
        command = ("--config", config, "--remove-missing")
        assert terminal.type(*command, "--plan").code == 0
        step_planned = page_of(outcome)
        assert terminal.type(*command).code == 1
        done = page_of(outcome)

        for page in (planned, step_planned):
            removals = page.partition('id="removals"')[2].partition("</section>")[0]
            assert "<b>2</b> people" in removals
            assert "1 held by crm" in removals
            assert "3 of 4 people would be removed" in removals
            assert "3 of 8 memberships would be removed" in removals
            assert "<b>3</b> people" in removals
            assert "<b>3</b> segment memberships" in removals
            assert "<b>6</b> missing, refused to remove" in page
            assert "The run would remove 2 people" in page
            assert "The removal would be refused for some streams" in page
        assert "The removal was refused for some streams" in done
        assert "Anything missing from other streams was removed" in done
        assert "<b>2</b> people deleted" in done
        assert "3 of 4 people would be removed" in done


def test_a_run_in_which_nothing_changed_says_so(
    terminal: Terminal, singer: Singer
) -> None:
    settings: dict[str, Any] = {
        "snapshot": "snapshot.db",
        "identify_timestamp": "omit",
        "stream_calls": {"users": "identify"},
        "report_path": PAGE,
    }
    records = [singer.schema("users"), singer.record("users", userId="ada")]
    page = page_of(terminal.run(*records, **settings))
    assert "Everything was delivered to the sandbox" in page
    assert "72 hours" not in page  # there are no events
    page = page_of(terminal.run(*records, **settings))
    assert "Nothing had changed" in page
    assert "<b>1</b> unchanged" in page
    assert "<b>0</b> skipped" not in page
    page = page_of(terminal.run(records[0], **settings))
    assert "There were no records" in page


def test_what_would_be_ignored_is_in_the_headline_and_what_was_applied_is_not(
    terminal: Terminal, singer: Singer
) -> None:
    def person(number: str, address: str) -> Any:
        return singer.record("identifies", userId=number, traits={"email": address})

    def load(*records: Any) -> str:
        schema = singer.schema("identifies")
        return page_of(terminal.run(schema, *records, report_path=PAGE))

    load(person("1", "a@example.com"), person("2", "b@example.com"))
    page = load(person("91", "a@example.com"))  # the same person with another id
    assert "Everything was delivered to the sandbox" in page
    assert "Nothing in this sandbox" in page
    page = load(person("2", "a@example.com"))  # an address that another person has
    assert "Everything was accepted; 1 change would be ignored" in page
    assert '<h1 class="warn">' in page
    assert "Nothing in this sandbox" not in page


def test_a_run_that_a_signal_stops_leaves_a_page_that_says_so(
    tmp_path: Path, singer: Singer, forks: ForkServer
) -> None:
    settings = {"sandbox": "workspace.db", "report_path": PAGE}
    target = RunningTarget(tmp_path, settings, forks=forks)
    target.send(singer.schema("identifies"), singer.record("identifies", userId="ada"))
    target.wait_until_read()
    target.signal(signal.SIGTERM)
    assert target.wait() == 0
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "The run was stopped before the input ended" in page
    assert "<b>1</b> delivered to the sandbox" in page


def test_a_run_that_stops_at_a_rejected_record_says_so(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(*messages(singer), report_path=PAGE, on_rejected="abort")
    assert outcome.code == 3
    page = page_of(outcome)
    assert "The run was stopped at a rejected record" in page
    assert outcome.errors[0] in unescape(page)


def test_a_command_without_a_report_imports_nothing_for_it(terminal: Terminal) -> None:
    code = (
        "import sys, target_customerio.target;"
        "print(sorted({'jinja2', 'pygal', 'markupsafe'} & sys.modules.keys()))"
    )
    assert terminal.type("-c", code, python=True).stdout == "[]\n"
