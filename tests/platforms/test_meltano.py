"""Meltano as users run it: a project, installed plugins and STATE."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.command import clean_environment
from support.customerio import Customerio, Reply, accept, always

from .project import ACCOUNT, ROOT, Copy, Done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)  # installs packages over the network

RUN = ("run", "tap-lines", "target-customerio")
SETTINGS = {
    "stream_calls": {"people": "track"},
    "action_events": {"suppress_person": ["Goodbye"]},
    "convert_timestamps": False,
}


@pytest.fixture
def customerio() -> Iterator[Customerio]:
    server = Customerio()
    yield server
    server.close()


@pytest.fixture(scope="module")
def shop(checkout: Copy) -> Done:
    """Run the documented command, including installs."""
    return checkout.run("run", "shop")


@pytest.fixture(scope="module")
def about(checkout: Copy, shop: Done) -> dict[str, Any]:
    assert shop.code == 0
    said = checkout.run("invoke", "target-customerio", "--about", "--format=json")
    return json.loads(said.stdout)


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))


def ids(workspace: dict[str, Any]) -> set[str]:
    return {event["id"] for event in workspace["events"]}


@pytest.mark.usefixtures("shop")
def test_the_shop_gives_the_same_sandbox_with_and_without_meltano(
    checkout: Copy, tmp_path: Path
) -> None:
    config = {"sandbox": str(tmp_path / "workspace.db"), "on_rejected": "continue"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    input_file = ROOT / "docs/examples/shop/shop.singer.jsonl"
    subprocess.run(
        [
            Copy.command("target-customerio"),
            *("--config", "config.json", "--input", str(input_file)),
        ],
        cwd=tmp_path,
        env=clean_environment(),
        check=True,
        stderr=subprocess.DEVNULL,
    )
    direct = Copy(tmp_path, "").workspace()

    found = checkout.workspace()

    assert found["people"].keys() - direct["people"].keys() <= {"id:p-021"}
    assert direct["people"].keys() - found["people"].keys() <= {"id:p-021"}
    assert found["objects"] == direct["objects"]
    # Here one person is deleted before their last events, there afterwards.
    assert len(ids(found) ^ ids(direct)) < 20
    assert len(ids(found) & ids(direct)) > 1000


@pytest.mark.usefixtures("shop")
def test_the_checkout_is_not_changed(checkout: Copy) -> None:
    assert (checkout.folder / "meltano.yml").read_bytes() == (
        ROOT / "meltano.yml"
    ).read_bytes()


def test_the_log_has_one_line_per_event_and_a_summary_table(shop: Done) -> None:
    said = shop.said_by("target-customerio")

    first = next(n for n, line in enumerate(said) if re.match("stream .*read", line))
    assert said[first : first + 6] == [
        "stream        read  delivered               rejected",
        "----------  ------  ---------------  ---  ----------",
        "identifies     229  person identify  229           0",
        "0 events are younger than 72 hours and can trigger campaigns",
        (
            "229 profile updates have times older than a day: Customer.io ignores "
            "those of people updated since (identify_timestamp: omit leaves times out)"
        ),
        said[first + 5],
    ]
    assert re.match(r"2 requests, 0 retries, [\d,]+ bytes, ", said[first + 5])
    assert "" not in said
    assert "Deprecat" not in shop.stderr
    assert not any(" | INFO " in line for line in said)


@pytest.mark.usefixtures("shop")
def test_the_shop_loaded_again_changes_nothing(checkout: Copy) -> None:
    before = checkout.workspace()

    again = checkout.run("run", "shop")

    assert checkout.workspace() == before
    assert re.search("bookmark value: 20", again.stderr)


def test_meltano_describes_each_setting_as_the_target_does(
    about: dict[str, Any], file: dict[str, Any], generate: Any
) -> None:
    (loader,) = file["plugins"]["loaders"]

    assert loader["settings"] == [
        generate.meltano_setting(name, schema)
        for name, schema in about["settings"]["properties"].items()
    ]
    assert loader["capabilities"] == about["capabilities"]
    assert loader["name"] == about["name"]


def test_meltano_shows_every_setting_and_hides_the_credentials(
    checkout: Copy, about: dict[str, Any]
) -> None:
    shown = checkout.run("config", "list", "--all", "target-customerio", **ACCOUNT)

    for name in about["settings"]["properties"]:
        assert re.search(rf"^{name} ", shown.stdout + shown.stderr, re.MULTILINE)
    assert "made-up" not in shown.stdout + shown.stderr


def test_the_declared_settings_of_the_postgres_extractor_exist(
    checkout: Copy, file: dict[str, Any]
) -> None:
    (tap,) = [
        each for each in file["plugins"]["extractors"] if each["name"] == "tap-postgres"
    ]

    said = checkout.run("invoke", "tap-postgres", "--about", "--format=json")

    known = json.loads(said.stdout)
    declared = {setting["name"] for setting in tap["settings"]}
    assert declared <= known["settings"]["properties"].keys()
    assert set(tap["capabilities"]) <= set(known["capabilities"])


def test_the_sandbox_is_the_default_and_every_schedule_has_its_job(
    checkout: Copy, file: dict[str, Any]
) -> None:
    assert file["default_environment"] == "sandbox"
    assert [each["name"] for each in file["environments"]] == ["sandbox", "production"]

    listed = json.loads(checkout.run("schedule", "list", "--format=json").stdout)

    jobs = {job["name"] for job in file["jobs"]}
    assert listed["schedules"]["elt"] == []
    assert {each["job"]["name"] for each in listed["schedules"]["job"]} == jobs


def test_a_run_resumes_after_the_last_state(project: Copy) -> None:
    project.people(1, 2, 3)

    first, second = project.run(*RUN), project.run(*RUN)
    project.people(4)
    third = project.run(*RUN)

    begins = [
        line
        for done in (first, second, third)
        for line in done.said_by("tap-lines")
        if "behind" in line
    ]
    assert [line[-1] for line in begins] == ["0", "3", "3"]
    assert any(re.match("identifies +0 ", line) for _, line in second.log)
    assert any(re.match("identifies +1 ", line) for _, line in third.log)
    assert project.state() == {"line": 4}
    assert project.workspace()["people"].keys() == {f"id:p-{n}" for n in range(1, 5)}


@pytest.mark.parametrize("how", ["environment", "setting"])
def test_a_plan_changes_neither_the_workspace_nor_the_state(
    project: Copy, how: str
) -> None:
    snapshot = {"snapshot": "snapshot.db"}
    project.configure(lambda content: loader_of(content)["config"].update(snapshot))
    project.people(1, 2, 3)
    project.run(*RUN)
    project.people(4)
    before = project.state(), project.workspace()

    if how == "environment":
        done = project.run(*RUN, TARGET_CUSTOMERIO_PLAN="true")
    else:
        plan = {"plan": True}
        project.configure(lambda content: loader_of(content)["config"].update(plan))
        done = project.run(*RUN)

    said = done.said_by("target-customerio")
    assert said[-1] == "Plan: 1 to create"
    assert any(re.match("  person identify +1$", line) for line in said)
    assert (project.state(), project.workspace()) == before
    if how == "environment":
        project.run(*RUN)
        assert project.state() == {"line": 4}
        assert "id:p-4" in project.workspace()["people"]


@pytest.mark.parametrize("setting", ["plan", "sandbox"])
@pytest.mark.parametrize("command", [RUN, ("invoke", RUN[-1], "--remove-missing")])
def test_a_harmless_run_that_meltano_makes_a_real_one_does_not_start(
    project: Copy, customerio: Customerio, setting: str, command: tuple[str, ...]
) -> None:
    def drop(content: dict[str, Any]) -> None:
        loader = loader_of(content)
        loader["settings"] = [
            each for each in loader["settings"] if each["name"] != setting
        ]
        loader["config"].update(snapshot="snapshot.db", remove_missing=True)

    project.configure(drop)
    project.people(1, 2)
    environment = {
        **ACCOUNT,
        "MELTANO_ENVIRONMENT": "production",
        "TARGET_CUSTOMERIO_API_URL": customerio.url,
        f"TARGET_CUSTOMERIO_{setting.upper()}": "true",
    }

    refused = project.run(*command, code=None, **environment)

    assert refused.code != 0
    assert f"TARGET_CUSTOMERIO_{setting.upper()} is set but not read" in refused.stderr
    assert customerio.requests == []
    assert not (project.folder / "snapshot.db").exists()


EXAMPLES = sorted((ROOT / "docs/examples/meltano").glob("*.yml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_lists_what_makes_a_run_harmless(file: Path) -> None:
    loader = loader_of(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert {"name": "plan", "kind": "boolean"} in loader["settings"]
    assert {"sandbox", "snapshot", "report_path"} <= {
        each["name"] for each in loader["settings"]
    }


def loader_of(content: dict[str, Any]) -> dict[str, Any]:
    (loader,) = content["plugins"]["loaders"]
    loader.setdefault("config", {})
    return loader


def test_wrong_credentials_do_not_change_the_state(
    project: Copy, customerio: Customerio
) -> None:
    production: dict[str, Any] = {
        **ACCOUNT,
        "MELTANO_ENVIRONMENT": "production",
        "TARGET_CUSTOMERIO_API_URL": customerio.url,
    }
    project.people(1, 2)
    project.run(*RUN, **production)
    project.people(3)
    customerio.script = always(Reply(401))

    refused = project.run(*RUN, code=None, **production)

    assert refused.code != 0
    assert project.state("production") == {"line": 2}
    assert any(
        "check `site_id` and `api_key`" in line for line in refused.stderr.splitlines()
    )
    assert "Traceback" not in refused.stderr
    assert "made-up" not in refused.stderr

    customerio.script = accept
    project.run(*RUN, **production)

    assert project.state("production") == {"line": 3}
    assert customerio.taken_ids == ["p-1", "p-2", "p-3"]


def test_an_unusable_sandbox_does_not_change_the_state(
    project: Copy,
) -> None:
    project.people(1)
    project.run(*RUN)
    project.people(2)

    failed = project.run(*RUN, code=None, TARGET_CUSTOMERIO_SANDBOX=".")

    assert failed.code != 0
    assert project.state() == {"line": 1}


def by_environment(_: Copy) -> dict[str, Any]:
    return {
        f"TARGET_CUSTOMERIO_{name.upper()}": json.dumps(value)
        for name, value in SETTINGS.items()
    }


def by_file(project: Copy) -> dict[str, Any]:
    project.configure(
        lambda content: content["plugins"]["loaders"][0].update(config=SETTINGS)
    )
    return {}


def by_command(project: Copy) -> dict[str, Any]:
    for name, value in SETTINGS.items():
        project.run("config", "set", "target-customerio", name, json.dumps(value))
    return {}


@pytest.mark.parametrize("by", [by_environment, by_file, by_command])
def test_settings_reach_the_target(
    project: Copy, by: Callable[[Copy], dict[str, Any]]
) -> None:
    calls = [
        {"userId": "p-1", "event": "Order", "properties": {"at": "2026-01-01T00:00Z"}},
        {"userId": "p-2", "event": "Goodbye"},
    ]
    (project.folder / "lines.jsonl").write_text("\n".join(map(json.dumps, calls)))
    project.configure(
        lambda content: content["plugins"]["extractors"][0].update(
            settings=[{"name": "path"}, {"name": "stream"}],
            config={"path": "lines.jsonl", "stream": "people"},
        )
    )

    project.run(*RUN, **by(project))

    workspace = project.workspace()
    assert [each["identifier"] for each in workspace["suppressions"]] == ["id:p-2"]
    (event,) = workspace["events"]
    assert event["attributes"] == {"at": "2026-01-01T00:00Z"}


def test_the_log_can_be_json(project: Copy) -> None:
    project.people(1)

    done = project.run("--log-format=json", *RUN)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    ours = [line for line in lines if line.get("string_id") == "target-customerio"]
    said = [line["event"] for line in ours]
    assert any(text.startswith("stream ") for text in said)
    assert {line["level"] for line in ours} == {"info"}
    metrics = [line["metric_info"] for line in ours if "metric_info" in line]
    assert {each["metric"]: each["value"] for each in metrics} == {
        "record_count": 1,
        "delivered_count": 1,
        "skipped_count": 0,
        "rejected_count": 0,
    }
    assert {each["tags"]["stream"] for each in metrics} == {"identifies"}


def test_the_summary_counts_are_fields_in_the_json_log(project: Copy) -> None:
    project.people(1, 2)

    done = project.run("--log-format=json", *RUN)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    (stream,) = [each for each in lines if each.get("event_type") == "stream_summary"]
    assert stream["stream_name"] == "identifies"
    assert (stream["read"], stream["delivered"], stream["undelivered"]) == (2, 2, 0)
    assert stream["delivered_by_operation"] == {"person identify": 2}
    (run,) = [each for each in lines if each.get("event_type") == "run_summary"]
    assert (run["read"], run["rejected"], run["recent_events"]) == (2, 0, 0)
    assert run["requests"] >= 2


def test_a_rejected_record_is_a_warning_in_the_log(project: Copy) -> None:
    (project.folder / "lines.jsonl").write_text('{"traits": {}}\n')

    done = project.run("--log-format=json", *RUN)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    (warning,) = [
        line
        for line in lines
        if line.get("string_id") == "target-customerio" and line["level"] == "warning"
    ]
    assert "no_identifier" in warning["event"]


def test_the_sdk_uses_the_configured_log_format(tmp_path: Path) -> None:
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
        "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": "INFO", "handlers": ["err"]},
    }
    (tmp_path / "log.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text('{"sandbox": "workspace.db"}')

    done = subprocess.run(
        [Copy.command("target-customerio"), "--config", "config.json"],
        cwd=tmp_path,
        env=clean_environment(SINGER_SDK_LOG_CONFIG=str(tmp_path / "log.json")),
        input='{"type": "SCHEMA", "stream": "people", "schema": {"properties": {}}}\n',
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    errors = [line for line in lines if line["level"] == "error"]
    assert len(errors) == 1
    assert "stream_calls" in errors[0]["message"]
