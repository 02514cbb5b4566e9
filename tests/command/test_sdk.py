"""The SDK's standard target tests, stream maps and flattening."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import json
import os
import signal
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.target_base import Target
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.runners import TargetTestRunner
from singer_sdk.testing.suites import target_tests
from support.workspace import contents_of

from target_customerio.singer import IMPORTED_PRIVATE, OVERRIDDEN, USED_PRIVATE
from target_customerio.sinks import SINKS, IgnoredSink
from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command import Outcome, Terminal
    from support.singer import Singer

USER_ID = {
    "TestCamelcase": "Id",
    "example_stream": "id",
    "record_missing_fields": "id",
    "test:SpecialChars!in?attributes": "record['_id']",
    "test_array_data": "id",
    "test_duplicate_records": "id",
    "test_no_pk": "id",
    "test_object_schema_no_properties": "str(record['object_store']['id'])",
    "test_object_schema_with_properties": "str(record['object_store']['id'])",
    "test_optional_attributes": "id",
    "test_schema_updates": "id",
    "test_strings": "id",
    "test_strings_in_arrays": "id",
    "test_strings_in_objects": "id",
}
"""The person's identifier in each stream of the SDK's tests."""

CONFIG = {
    "stream_calls": {"*": "identify"},
    "on_rejected": "abort",
    "stream_maps": {
        stream: {"userId": expression} for stream, expression in USER_ID.items()
    },
}

PEOPLE = {
    "array_data": 4,
    "camelcase": 2,
    "camelcase_complex_schema": 0,
    "duplicate_records": 2,
    "encoded_string_data": 11,
    "no_primary_keys": 3,
    "optional_attributes": 4,
    "pk_updates": 2,
    "record_missing_fields": 2,
    "schema_no_properties": 2,
    "schema_updates": 6,
    "special_chars_in_attributes": 1,
}
"""The number of people in each of the SDK's streams."""


class Runner(TargetTestRunner):
    """The SDK's runner in a separate folder; it closes its targets."""

    def __init__(self, folder: Path) -> None:
        config = {
            **CONFIG,
            "sandbox": str(folder / "workspace.db"),
            "rejected_records_path": str(folder / "rejected.singer.jsonl"),
        }
        super().__init__(TargetCustomerIO, config=config, parse_env_config=False)
        self.targets: list[TargetCustomerIO] = []

    def create(self, kwargs: dict[str, Any] | None = None) -> TargetCustomerIO:
        target = super().create(kwargs)
        assert isinstance(target, TargetCustomerIO)
        self.targets.append(target)
        return target


@pytest.fixture
def sdk_runner(tmp_path: Path) -> Iterator[Runner]:
    handlers = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)
    }
    runner = Runner(tmp_path)
    yield runner
    if runner.input_filepath is not None:
        runner.target_input.close()
    for target in runner.targets:
        target.pipeline.end()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def file_tests(name: str) -> list[Any]:
    """Return the SDK's tests of a name."""
    return [each for each in target_tests.tests if each.name == name]


StandardTests: Any = get_target_test_class(TargetCustomerIO, config=CONFIG)


class TestTheStandardTests(StandardTests):  # type: ignore[misc] # made by the SDK
    """Each of the SDK's standard tests; a rejected record fails it."""

    @pytest.fixture
    def runner(self, sdk_runner: Runner) -> Runner:
        return sdk_runner

    def test_target_invalid_schema(self, sdk_runner: Runner) -> None:
        """A schema without properties, invalid for the SDK, is valid here."""
        (standard,) = file_tests("invalid_schema")
        sdk_runner.input_filepath = standard().singer_filepath
        sdk_runner.sync_all()


def test_every_standard_test_is_included() -> None:
    names = {f"test_target_{each().name}" for each in target_tests.tests}
    assert len(names) == 16
    for name in names:
        assert callable(getattr(TestTheStandardTests, name))


@pytest.mark.parametrize("name", PEOPLE)
def test_every_record_of_a_standard_test_reaches_the_workspace(
    name: str, sdk_runner: Runner, tmp_path: Path
) -> None:
    (standard,) = file_tests(name)
    sdk_runner.input_filepath = standard().singer_filepath
    with sdk_runner.input_filepath.open(encoding="utf8") as lines:
        messages = [json.loads(line) for line in lines]
    sdk_runner.sync_all()
    (target,) = sdk_runner.targets
    records = [each for each in messages if each["type"] == "RECORD"]
    assert target.pipeline.recorder.summary.delivered == len(records)
    assert len(contents_of(tmp_path / "workspace.db")["people"]) == PEOPLE[name]


def names_of_its_own(*kinds: type) -> set[str]:
    """Return the attributes of ``self`` that the code of classes uses."""
    trees = [ast.parse(textwrap.dedent(inspect.getsource(each))) for each in kinds]
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def theirs_and_ours(kind: type) -> tuple[list[type], list[type]]:
    bases = kind.__mro__[:-1]
    ours = [each for each in bases if each.__module__.startswith("target_customerio")]
    return [each for each in bases if each not in ours], ours


def test_the_sdk_still_calls_the_overridden_names() -> None:
    assert set(OVERRIDDEN) <= names_of_its_own(*Target.__mro__[:-1])


def test_the_private_names_used_still_exist_in_the_sdk_and_are_listed() -> None:
    shared = set()
    kinds: list[type] = [TargetCustomerIO, *SINKS.values(), IgnoredSink]
    for kind in kinds:
        theirs, ours = theirs_and_ours(kind)
        shared |= names_of_its_own(*theirs) & names_of_its_own(*ours)
    private = {name for name in shared if name.startswith("_")}
    assert private - set(OVERRIDDEN) == set(USED_PRIVATE)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_overridden_name_is_still_defined_by_the_sdk(name: str) -> None:
    theirs = getattr(Target, name)
    ours = getattr(TargetCustomerIO, name)
    assert theirs is not ours
    assert list(inspect.signature(ours).parameters) == list(
        inspect.signature(theirs).parameters
    )


def test_every_private_name_that_is_imported_from_the_sdk_is_listed() -> None:
    package = Path(inspect.getfile(TargetCustomerIO)).parent
    imported = {
        name.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").split(".")[0] == "singer_sdk"
        for name in node.names
        if name.name.startswith("_")
    }
    assert imported == set(IMPORTED_PRIVATE)


def test_the_sdk_still_passes_the_configuration_in_the_same_form() -> None:
    fields = {each.name for each in dataclasses.fields(_ConfigInput)}
    assert fields == {"config", "parse_env"}
    theirs, ours = (
        inspect.signature(each.invoke).parameters["config"].annotation
        for each in (Target, TargetCustomerIO)
    )
    assert theirs == ours == "_ConfigInput | None"


def final_names() -> set[str]:
    """Return the methods that the SDK declares as final."""
    trees = [
        ast.parse(textwrap.dedent(inspect.getsource(each)))
        for each in Target.__mro__[:-1]
    ]
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(each) == "t.final" for each in node.decorator_list)
    }


def test_every_overridden_private_or_final_name_is_listed() -> None:
    final = final_names()
    assert {"listen", "process_lines"} <= final
    replaced = {
        each
        for base in TargetCustomerIO.__mro__
        if base.__module__.startswith("target_customerio")
        for each in vars(base)
        if (
            each.startswith("_") and not each.startswith("__") and hasattr(Target, each)
        )
        or each in final
    }
    assert replaced - {"_abc_impl"} == set(OVERRIDDEN)


@pytest.fixture(scope="module")
def mapped(new_terminal: Callable[[], Terminal], singer: Singer) -> Outcome:
    orders = {"buyer": {"type": "string"}, "status": {"type": "string"}}
    return new_terminal().run(
        singer.schema("crm-users", {"customer_no": {"type": "integer"}, "plan": {}}),
        singer.schema("crm-orders", orders),
        singer.schema("crm-companies", ["code", "owner"]),
        singer.schema("crm-visits", ["visitor", "address"]),
        singer.schema("crm-merges", ["old", "new"]),
        singer.schema("crm-secrets", ["userId"]),
        singer.record("crm-users", customer_no=42, plan="plus"),
        singer.record("crm-orders", buyer="42", status="paid"),
        singer.record("crm-orders", buyer="42", status="draft"),
        singer.record("crm-orders", buyer="43", status="sent"),
        singer.record("crm-companies", code="c-1", owner="42"),
        singer.record("crm-visits", visitor="v-1", address="https://example.com"),
        singer.record("crm-users", customer_no=44, plan="free"),
        singer.record("crm-merges", old="44", new="42"),
        singer.record("crm-secrets", userId="nobody"),
        singer.state(reached="the end"),
        stream_calls={
            "crm-users": "identify",
            "crm-orders": "track",
            "crm-companies": "group",
            "home-page": "page",
            "crm-merges": "alias",
        },
        stream_maps={
            "crm-users": {"userId": "customer_no", "customer_no": "__NULL__"},
            "crm-orders": {
                "userId": "buyer",
                "event": "'Order ' + status",
                "__filter__": "status != 'draft'",
                "__else__": "__NULL__",
            },
            "crm-companies": {"groupId": "code", "userId": "owner"},
            "crm-visits": {
                "__alias__": "home-page",
                "anonymousId": "visitor",
                "name": "'Home'",
            },
            "crm-merges": {"userId": "new", "previousId": "old"},
            "crm-secrets": "__NULL__",
        },
    )


def test_a_stream_map_renames_a_column_to_the_user_id(mapped: Outcome) -> None:
    assert mapped.code == 0, mapped.stderr
    person = mapped.workspace["people"]["id:42"]
    assert person["attributes"] == {"plan": "plus"}


def test_a_stream_map_derives_the_name_of_the_event(mapped: Outcome) -> None:
    events = {
        (each["person"], each["name"])
        for each in mapped.workspace["events"]
        if each["type"] == "event"
    }
    assert events == {("id:42", "Order paid"), ("id:43", "Order sent")}


def test_a_stream_map_filters_rows_which_are_counted_as_skipped(
    mapped: Outcome,
) -> None:
    orders = mapped.table["crm-orders"]
    assert sum(orders["delivered"].values()) == 2
    assert orders["skipped"] == {"left out by stream_maps": orders["read"] - 2}
    assert orders["read"] > 2


def test_a_stream_map_identifies_the_object_and_the_person_of_a_group(
    mapped: Outcome,
) -> None:
    (relationship,) = mapped.workspace["relationships"]
    assert (relationship["object"], relationship["person"]) == ("1:c-1", "id:42")


def test_the_alias_in_a_stream_map_decides_the_call(mapped: Outcome) -> None:
    (page,) = [each for each in mapped.workspace["events"] if each["type"] == "page"]
    assert (page["name"], page["anonymous_id"]) == ("Home", "v-1")
    assert page["attributes"] == {"visitor": "v-1", "address": "https://example.com"}


def test_a_stream_map_merges_people(mapped: Outcome) -> None:
    assert "id:44" not in mapped.workspace["people"]


def test_a_stream_removed_by_its_map_needs_no_call(mapped: Outcome) -> None:
    secrets = mapped.table["crm-secrets"]
    assert secrets["skipped"] == {"left out by stream_maps": secrets["read"]}
    assert "id:nobody" not in mapped.workspace["people"]


def test_state_follows_mapped_records(mapped: Outcome) -> None:
    assert mapped.states[-1] == {"reached": "the end"}


OPEN: dict[str, Any] = {"type": ["object", "null"]}
TEXT = {"type": ["string", "null"]}
DATE = {"type": ["string", "null"], "format": "date-time"}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": ["object", "null"], "properties": properties}


COMMON = {"userId": TEXT, "messageId": TEXT, "timestamp": DATE}
DEVICE = obj(device=obj(token=TEXT, type=TEXT), app=obj(version=TEXT), locale=TEXT)
HOME = obj(city=TEXT, geo=obj(lat={"type": "number"}, since=DATE))
CALLS: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    (
        "identifies",
        {
            "traits": obj(email=TEXT, plan=TEXT, created_at=DATE, home=HOME),
            "context": obj(traits=obj(email=TEXT)),
        },
        [
            {
                "userId": "ada",
                "timestamp": "2026-03-01T10:00:00Z",
                "traits": {
                    "email": "ada@example.com",
                    "plan": "plus",
                    "created_at": "2026-02-01T00:00:00Z",
                },
            },
            {"userId": "bo", "traits": {"plan": None}},
            {
                "userId": "deep",
                "traits": {
                    "home": {
                        "city": "Cork",
                        "geo": {"lat": 51.9, "since": "2026-01-01T00:00:00Z"},
                    }
                },
            },
            {"context": {"traits": {"email": "cleo@example.com"}}},
        ],
    ),
    (
        "tracks",
        {
            "event": TEXT,
            "properties": obj(total={"type": "number"}, due=DATE),
            "context": DEVICE,
        },
        [
            {
                "messageId": "m-1",
                "userId": "ada",
                "event": "Bought",
                "properties": {"total": 1.10, "due": "2026-03-09T00:00:00Z"},
            },
            {
                "messageId": "m-2",
                "userId": "ada",
                "event": "Application Opened",
                "timestamp": "2026-03-02T10:00:00Z",
                "context": {
                    "device": {"token": "t-1", "type": "Android"},
                    "app": {"version": "2"},
                    "locale": "en-IE",
                },
            },
        ],
    ),
    (
        "pages",
        {"name": TEXT, "properties": obj(url=TEXT)},
        [{"messageId": "m-3", "userId": "ada", "properties": {"url": "https://a.io"}}],
    ),
    (
        "screens",
        {"name": TEXT, "properties": obj(name=TEXT)},
        [{"messageId": "m-4", "userId": "bo", "properties": {"name": "Start"}}],
    ),
    (
        "groups",
        {
            "groupId": TEXT,
            "traits": obj(
                name=TEXT, objectTypeId=TEXT, relationshipAttributes=obj(role=TEXT)
            ),
        },
        [
            {
                "userId": "ada",
                "groupId": "c-1",
                "traits": {
                    "name": "Example",
                    "objectTypeId": "2",
                    "relationshipAttributes": {"role": "owner"},
                },
            }
        ],
    ),
    ("aliases", {"previousId": TEXT}, [{"userId": "ada", "previousId": "bo"}]),
]


@pytest.fixture(scope="module", params=["typed", "untyped"])
def depths(
    request: pytest.FixtureRequest,
    new_terminal: Callable[[], Terminal],
    singer: Singer,
) -> dict[int, Outcome]:
    typed = request.param == "typed"
    messages: list[Any] = []
    for stream, properties, records in CALLS:
        own = properties
        if not typed:
            own = {
                name: OPEN if "properties" in each else each
                for name, each in properties.items()
            }
        messages.append(singer.schema(stream, {**COMMON, **own}))
        messages += [singer.record(stream, **record) for record in records]
    settings: list[dict[str, Any]] = [
        {},
        *(
            {"flattening_enabled": True, "flattening_max_depth": depth}
            for depth in (1, 2, 3)
        ),
    ]
    return {
        depth: new_terminal().run(*messages, **each)
        for depth, each in enumerate(settings)
    }


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_flattening_to_any_depth_gives_the_same_workspace(
    depth: int, depths: dict[int, Outcome]
) -> None:
    plain = depths[0]
    assert plain.code == 0, plain.stderr
    flattened = depths[depth]
    assert flattened.code == 0, flattened.stderr
    expected, found = plain.workspace, flattened.workspace
    for people in (expected["people"], found["people"]):
        del people["id:deep"]  # traits nested deeper than the smallest depth
    for part in expected:
        assert found[part] == expected[part], part


def test_the_reference_workspace_has_every_kind_of_data(
    depths: dict[int, Outcome],
) -> None:
    workspace = depths[0].workspace
    people = {"id:ada", "id:deep", "email:cleo@example.com"}
    assert workspace["people"].keys() == people
    assert workspace["objects"].keys() == {"2:c-1"}
    for part in ("devices", "relationships", "events"):
        assert workspace[part], part


def test_a_nested_trait_is_rebuilt_from_its_columns(
    depths: dict[int, Outcome],
) -> None:
    plain, flattened = (
        depths[depth].workspace["people"]["id:deep"]["attributes"] for depth in (0, 3)
    )
    assert plain["home"]["geo"]["lat"] == Decimal("51.9")
    assert plain["home"]["geo"]["since"] == 1767225600
    assert flattened == plain


def test_values_below_the_flattening_depth_arrive_as_objects_or_text(
    depths: dict[int, Outcome],
) -> None:
    attributes = depths[1].workspace["people"]["id:deep"]["attributes"]
    home = attributes["home"]  # text if the schema describes it
    if isinstance(home, str):
        home = json.loads(home, parse_float=Decimal)
    assert home["geo"]["lat"] == Decimal("51.9")


def test_records_in_batch_files_are_delivered(
    terminal: Terminal, singer: Singer
) -> None:
    rows = [{"userId": "ada"}, {"userId": True}, {"userId": "bo"}]
    (terminal.folder / "rows.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        {
            "type": "BATCH",
            "stream": "identifies",
            "encoding": {"format": "jsonl"},
            "manifest": ["rows.jsonl"],
        },
        singer.state(reached="the end"),
        on_rejected="continue",
    )
    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:ada", "id:bo"]
    assert [each["record"] for each in outcome.rejected] == [{"userId": True}]
    assert outcome.states == [{"reached": "the end"}]


@pytest.mark.timeout(100)  # it waits for ever if nothing is queued
def test_the_sdks_listen_queues_what_was_read_before_it_waits(
    tmp_path: Path, singer: Singer
) -> None:
    target = TargetCustomerIO(config={"sandbox": str(tmp_path / "workspace.db")})
    descriptor, into = os.pipe()
    steps = [singer.schema("identifies"), singer.record("identifies", userId="ada")]
    queued = []
    flush = target.run.flush

    def wait() -> None:
        flush()
        queued.append(target.pipeline.recorder.summary.streams["identifies"].read)
        if steps:
            os.write(into, json.dumps(steps.pop(0)).encode() + b"\n")
        elif queued[-1]:
            os.close(into)

    target.run.flush = wait  # type: ignore[method-assign]
    with os.fdopen(descriptor, encoding="utf-8") as feed:
        target.listen(feed)
    assert queued == [0, 0, 1]
    assert target.pipeline.recorder.summary.delivered == 1


def test_a_stream_with_repeated_schema_changes_keeps_one_sink(
    tmp_path: Path, singer: Singer
) -> None:
    feed: Any = io.BytesIO()  # the reader takes bytes
    for number in range(40):
        schema = singer.schema("identifies", [f"column_{number % 2}"])
        record = singer.record("identifies", userId=f"{number}")
        feed.write(json.dumps(schema).encode() + b"\n")
        feed.write(json.dumps(record).encode() + b"\n")
    feed.seek(0)
    target = TargetCustomerIO(config={"sandbox": str(tmp_path / "workspace.db")})
    kept = []
    flush = target.pipeline.flush

    def count() -> None:
        kept.append(len(target._sinks_active) + len(target._sinks_to_clear))  # noqa: SLF001 - its internal state is tested
        flush()

    target.pipeline.flush = count  # type: ignore[method-assign]
    target.process(feed)
    assert max(kept) == 1
    assert target.pipeline.recorder.summary.delivered == 40
