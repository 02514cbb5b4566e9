"""The pages in docs/ are up to date, and what they show works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml
from support.pages import Page, Shell
from support.singer import line_of, record, schema

from .conftest import PAGES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import Outcome, Terminal

HERE = {"deliver", "people", "people_look", "pipe", "replay"}
IN_OTHER_TESTS = {
    **dict.fromkeys(
        (
            "first",
            "plan",
            "look",
            "person",
            "rejected",
            "check",
            "pipe_state",
            "activate",
        ),
        "tests/pages/test_commands.py",
    ),
    **dict.fromkeys(("csv_plan", "csv_mirror"), "tests/command/test_tables.py"),
    "generate": "tests/pages/test_pages.py",
    "benchmark": "tests/benchmark/test_benchmark.py",
    "crash": "tests/resilience/test_crash_equivalence.py",
    "meltano_check": "tests/platforms/test_meltano_project.py",
    "meltano_run": "tests/platforms/test_meltano_project.py",
    "meltano_replay": "tests/platforms/test_meltano_project.py",
    "meltano_guard": "tests/platforms/test_meltano_project.py",
    "meltano_short": "tests/platforms/test_meltano_project.py",
    "meltano_alert": "tests/platforms/test_meltano_alerts.py",
    "airflow_allow": "tests/platforms/test_airflow.py",
    "meltano_add": "tests/platforms/test_hub.py",
    **dict.fromkeys(
        (
            "mirror",
            "allow",
            "csv_catalog",
            "csv_tap",
            "meltano_mirror",
            "meltano_mirror_job",
            "meltano_allow",
        ),
        "tests/platforms/test_removal.py",
    ),
}
BY_CI = {
    "first": "README.md",
    "tests": "README.md",
    "docs": "CONTRIBUTING.md",
    "datasette": "docs/sandbox.md",
    "meltano": "docs/meltano.md",
}
"""The commands that need a package registry, and the pages that show them."""

ELSEWHERE = {
    "lint": "run by CI in parts",
    "install_tool": "needs uv, pipx and a repository address",
    "meltano_init": "writes a sample project, which the next step replaces",
    "meltano_install": "needs an address of the package",
    "meltano_production": "needs an account",
}

TAP = """#!/bin/sh
cat <<'EOF'
{"type": "SCHEMA", "stream": "public-users", "schema": {"properties": {}}, "key_properties": []}
{"type": "RECORD", "stream": "public-users", "record": {"id": "p-1", "plan": "pro"}}
{"type": "SCHEMA", "stream": "shop-orders", "schema": {"properties": {}}, "key_properties": ["messageId"]}
{"type": "RECORD", "stream": "shop-orders", "record": {"userId": "p-1", "messageId": "m-1", "event": "Order"}}
EOF
"""  # noqa: E501 - one message per line


@pytest.fixture(scope="module", params=PAGES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def page(file: Path) -> Page:
    return Page.of(file)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


class Load(Protocol):
    def __call__(
        self, config: str, stream: str, records: list[dict[str, Any]]
    ) -> Outcome: ...


@pytest.fixture
def load(terminal: Terminal) -> Load:
    """Return what loads records into a sandbox with a documented configuration."""

    def load(config: str, stream: str, records: list[dict[str, Any]]) -> Outcome:
        messages = [schema(stream, list(records[0]))]
        messages += [record(stream, **each) for each in records]
        (terminal.folder / "config.json").write_text(config, encoding="utf-8")
        terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
        outcome = terminal.type(
            "--config=config.json",
            "--config=ENV",
            feed=b"".join(map(line_of, messages)),
        )
        assert outcome.code == 0, outcome.stderr
        return outcome

    return load


def test_generated_text_is_up_to_date(generate: Any) -> None:
    stale = [file.name for file in generate.outdated()]

    assert stale == [], "run: python docs/generate.py"


def test_an_outdated_page_is_detected(generate: Any) -> None:
    text = "<!-- generated: reasons -->\n\nstale text\n\n<!-- /generated -->"

    written = generate.page(text)

    assert "no_identifier" in written
    assert "stale text" not in written
    assert generate.page(written) == written


def test_every_setting_is_in_one_group(generate: Any) -> None:
    grouped = [name for group in generate.GROUPS for name in generate.group(group)]

    assert generate.ungrouped() == set()
    assert len(grouped) == len(set(grouped))


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = [next(iter(entry.values())) for entry in yaml.safe_load(text)["nav"]]

    assert sorted(named) == sorted(file.name for file in (ROOT / "docs").glob("*.md"))


def test_every_command_has_a_name(page: Page) -> None:
    fences = re.findall(r"^(.*)\n```bash$", page.text, re.MULTILINE)

    assert [f"<!-- run: {name} -->" for name in page.names("run")] == fences


def test_every_command_is_run_by_a_test_or_ci(pages: Page) -> None:
    run = HERE | IN_OTHER_TESTS.keys() | BY_CI.keys() | ELSEWHERE.keys()

    assert set(pages.names("run")) == run
    for file in IN_OTHER_TESTS.values():
        assert (ROOT / file).exists()


@pytest.mark.parametrize("kind", ["run", "file"])
def test_blocks_with_the_same_name_are_identical(kind: str) -> None:
    shown: dict[str, set[str]] = {}
    for file in PAGES:
        page = Page.of(file)
        for name in page.names(kind):
            shown.setdefault(name, set()).add(page.block(kind, name))

    assert [name for name, texts in shown.items() if len(texts) > 1] == []


def test_ci_runs_the_commands_that_need_a_registry(pages: Page) -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")

    for name, file in BY_CI.items():
        assert f"$(command_of {file} {name})" in script
        Page.of(ROOT / file).block("run", name)
    for command in pages.block("run", "lint").strip().split(" && "):
        assert f".venv/bin/{command}\n" in script


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 200


def test_every_option_exists(pages: Page) -> None:
    variables = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = {
        option
        for line in (pages.text + variables).replace("\\\n", "").splitlines()
        for command in re.findall(r"^(?!.*meltano).*target-customerio( -[^|`>]*)", line)
        for option in re.findall(r"(?<=\s)--[a-z-]+", command)
    }
    known = subprocess.run(
        [sys.executable, "-m", "target_customerio", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert named >= {"--check", "--config", "--input"}
    assert named <= set(re.findall(r"--[a-z-]+", known))


def test_the_first_page_loads_two_records(shell: Shell, pages: Page) -> None:
    for name in ("people.json", "people.singer.jsonl"):
        shell.write(name, pages.block("file", name))

    shell.run(pages.block("run", "people"))

    shown = shell.run(pages.block("run", "people_look")).stdout
    assert shown == pages.block("output", "people_look")


def test_a_program_delivers_rows(shell: Shell, pages: Page) -> None:
    shown = shell.run(pages.block("run", "deliver")).stdout
    assert shown == pages.block("output", "deliver")


def test_the_target_runs_behind_a_tap(shell: Shell, pages: Page) -> None:
    shell.write("tap-shop", TAP, executable=True)
    shell.write("target.json", pages.block("file", "target.json"))

    shell.run(pages.block("run", "pipe"), TARGET_CUSTOMERIO_SANDBOX="workspace.db")

    assert shell.rows("SELECT person, name, value FROM person_attributes") == [
        ("id:p-1", "plan", "pro")
    ]
    assert shell.rows("SELECT person, name FROM person_events") == [("id:p-1", "Order")]


def test_rejected_records_are_sent_again(shell: Shell, pages: Page) -> None:
    shell.write("target.json", "{}")
    record = {"type": "RECORD", "stream": "tracks"}
    schema = {"type": "SCHEMA", "stream": "tracks", "schema": {"properties": {}}}
    messages = [
        {**schema, "key_properties": []},
        {**record, "record": {"event": "Order", "userId": "p-1"}},
    ]
    shell.write(
        "rejected.singer.jsonl",
        "".join(json.dumps(each) + "\n" for each in messages),
    )

    shell.run(pages.block("run", "replay"), TARGET_CUSTOMERIO_SANDBOX="workspace.db")

    assert shell.rows("SELECT person, name FROM person_events") == [("id:p-1", "Order")]
    assert not (shell.folder / "rejected.singer.jsonl").exists()


@pytest.mark.parametrize("name", ["per-stream.json", "sandbox.json"])
def test_a_configuration_is_accepted(name: str, load: Load, pages: Page) -> None:
    done = load(pages.block("file", name), "public-users", [{"userId": "p-1"}])

    assert "WARNING" not in done.stderr


def test_a_spreadsheet_with_us_dates_is_mapped(
    load: Load, shell: Shell, pages: Page
) -> None:
    row = {
        "Email Address": "ann@example.com",
        "Signed Up": "07/04/2026",
        "Active?": "TRUE",
        "Visits": "7",
        "Notes": "not for Customer.io",
    }

    load(pages.block("file", "spreadsheet.json"), "contacts", [row])

    found = shell.rows("SELECT name, value FROM person_attributes ORDER BY name")
    assert found == [("active", "true"), ("signed_up", 1783123200), ("visits", 7)]


@pytest.mark.parametrize(
    ("expression", "value", "sent"),
    [
        ("record['Column Name']", "pro", "pro"),
        ("_['Column Name']", "pro", "pro"),
        ("bool(record['Column Name'])", 1, "true"),
        ("_['Column Name'] if _['Column Name'] is not None else None", 0, 0),
        ("int(record['Column Name'])", "7", 7),
        ("float(record['Column Name'])", "1.5", 1.5),
        ("str(record['Column Name'])", 7, "7"),
        ("md5(record['Column Name'])", "a", "0cc175b9c0f1b6a831c399e269772661"),
    ],
)
def test_documented_stream_map_expressions_give_the_documented_values(
    expression: str, value: Any, sent: Any, load: Load, shell: Shell
) -> None:
    stream_map = {"userId": "id", "plan": expression, "__else__": "__NULL__"}
    config = {
        "stream_calls": {"users": "identify"},
        "stream_maps": {"users": stream_map},
    }

    load(json.dumps(config), "users", [{"id": 1, "Column Name": value}])

    assert shell.rows("SELECT name, value FROM person_attributes") == [("plan", sent)]


@pytest.mark.parametrize(
    ("definition", "records", "names"),
    [
        ({"__filter__": "plan == 'pro'"}, [("a", "pro"), ("b", "free")], ["a"]),
        ({"__key_properties__": ["name"]}, [("a", "pro"), ("a", "pro")], ["a"]),
        ({"__alias__": "eu-tracks"}, [("a", "pro")], ["a"]),
        ({"event": "self.upper()"}, [("a", "pro")], ["A"]),
    ],
)
def test_documented_stream_map_keys_work_as_documented(
    definition: dict[str, Any],
    records: list[tuple[str, str]],
    names: list[str],
    load: Load,
    shell: Shell,
) -> None:
    stream_map = {"event": "name", **definition}
    rows = [
        {"userId": 1, "event": name, "name": name, "plan": plan}
        for name, plan in records
    ]
    config = {"stream_maps": {"tracks": stream_map}, "validate_records": False}

    load(json.dumps(config), "tracks", rows)

    assert shell.rows("SELECT name FROM person_events") == [(name,) for name in names]


def test_a_stream_can_be_duplicated(load: Load, shell: Shell) -> None:
    config = {
        "stream_maps": {
            "tracks": {"event": "'Order Placed'"},
            "shipped-tracks": {"__source__": "tracks", "event": "'Order Shipped'"},
        }
    }

    load(json.dumps(config), "tracks", [{"userId": 1, "messageId": "m-1"}])

    found = shell.rows("SELECT name FROM person_events ORDER BY name")
    assert found == [("Order Placed",), ("Order Shipped",)]


def test_only_an_unsubscribe_is_sent(load: Load, shell: Shell, pages: Page) -> None:
    rows = [{"id": number, "unsubscribed": number == 1} for number in (1, 2)]

    load(pages.block("file", "unsubscribed.json"), "public-users", rows)

    found = shell.rows("SELECT person, name, value FROM person_attributes")
    assert found == [("id:1", "unsubscribed", "true")]


def test_every_link_has_an_existing_destination(file: Path, page: Page) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.text)

    for link in links:
        assert link.startswith("https://") or (file.parent / link).exists(), link


def test_links_of_the_readme_match_existing_headings() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    for link, anchor in re.findall(r"\]\(([\w/.-]+)#([\w-]+)\)", text):
        heads = re.findall(r"(?m)^#+ (.+)$", (ROOT / link).read_text(encoding="utf-8"))
        assert anchor in {head.lower().replace(" ", "-") for head in heads}


def test_the_table_of_options_has_every_option() -> None:
    from target_customerio.target import TargetCustomerIO  # noqa: PLC0415 - only here

    text = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    table = "".join(re.findall(r"^\| (`--.*?) \|", text, re.MULTILINE))
    params = TargetCustomerIO.get_singer_command().params
    options = {name for each in params for name in each.opts}
    assert options - set(re.findall(r"--[a-z-]+", table)) <= {"--help", "--format"}
