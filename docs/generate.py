"""Write everything that is derived from the code, the examples and the benchmark.

    python docs/generate.py          write it
    python docs/generate.py --check  only say what is out of date, exit code 1 if any

In a Markdown page, the text between these two lines is derived:

    <!-- generated: NAME ARGUMENT -->
    <!-- /generated -->

The names are the keys of ``BLOCKS``. Besides the pages, the settings in
``meltano.yml``, ``.env.example`` and the definition for Meltano Hub are derived.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from target_customerio.errors import REASONS
from target_customerio.mapping.actions import ACTIONS
from target_customerio.mapping.fields import (
    BOOKKEEPING,
    CALL_KINDS,
    DELETED_AT,
    INTEGRATIONS,
    MESSAGE_OVERRIDES,
    METADATA_PREFIX,
    SPEC_FIELDS,
    WAREHOUSE_COLUMNS,
)
from target_customerio.sandbox.activity import ACTIVITY_REASONS
from target_customerio.settings.schema import CALLS_OF_STREAMS, SETTINGS_OF_STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT: Final = Path(__file__).resolve().parents[1]
RECIPES: Final = ROOT / "docs/examples/recipes"
HUB: Final = ROOT / "docs/examples/hub/target-customerio.yml"
PREFIX: Final = "TARGET_CUSTOMERIO_"
LOADER: Final = "target-customerio"

GROUPS: Final = {
    "destination": (
        "Where records go",
        ["site_id", "api_key", "region", "api_url", "sandbox", "sandbox_email_updates"],
    ),
    "streams": (
        "Which stream is which call",
        ["stream_calls", "unmapped_streams", "action_events"],
    ),
    "conversion": (
        "How records are converted",
        [
            "user_id_type",
            "screen_events",
            "anonymous_identify",
            "convert_timestamps",
            "null_attributes",
            "update_only",
            "identify_timestamp",
            "hard_delete",
        ],
    ),
    "delivery": (
        "Rate, size and retries",
        [
            "requests_per_second",
            "max_concurrent_requests",
            "request_timeout_seconds",
            "max_retry_seconds",
            "batch_size_rows",
        ],
    ),
    "snapshot": (
        "Only changes, plans and removal",
        ["snapshot", "refresh", "plan", "remove_missing", "max_deletions"],
    ),
    "rejected": (
        "Rejected records",
        ["on_rejected", "rejected_records_path"],
    ),
    "report": ("Report", ["report_path"]),
    "sdk": (
        "Settings of the Meltano SDK",
        [
            "add_record_metadata",
            "batch_config",
            "validate_records",
            "stream_maps",
            "stream_map_config",
            "faker_config",
            "flattening_enabled",
            "flattening_max_depth",
            "flattening_max_key_length",
            "flattening_separator",
        ],
    ),
}
"""The settings, grouped as pages and ``.env.example`` show them."""

CALL_NOTES: Final = {
    "identify": "A person: created, or updated",
    "track": "An event, or an [action](#events-that-are-actions)",
    "page": "A page view",
    "screen": "A screen view, or an event (`screen_events`)",
    "group": "An object and, if the record names a person, their relationship",
    "alias": "A merge of two people",
    "segment": "Adds a person to a manual segment, or removes them",
    "by_type": "Whatever call the record's own `type` names",
}

ACTION_NOTES: Final = {
    "create_or_update_device": "`person add_device`; an ordinary event if the record "
    "has no device token or no person",
    "delete_device": "`person delete_device`",
    "delete_relationship": "`object delete_relationships`",
    "delete_person": "`person delete`",
    "delete_object": "`object delete`",
    "suppress_person": "`person suppress`",
    "unsuppress_person": "`person unsuppress`",
    "report_delivery_event": "`delivery report` (`POST /api/v1/metrics`)",
    "report_content_event": "`person content report` "
    "(`viewed_content` or `clicked_content`)",
}

KINDS: Final = {
    "object": "object",
    "boolean": "boolean",
    "string": "string",  # also a number or a share, as max_deletions
    "integer": "integer",
    "number": "decimal",
}
"""Meltano's kind for each JSON type, the more telling types first."""

HUB_FIELDS: Final = {
    "description": "Messaging platform for people, events and objects (Track API)",
    "domain_url": "https://customer.io/",
    "executable": LOADER,
    "keywords": ["meltano_sdk", "reverse_etl"],
    "label": "Customer.io",
    "log_parser": "singer-sdk",
    "maintenance_status": "active",
    "name": LOADER,
    "namespace": "target_customerio",
    "pip_url": LOADER,
    "quality": "unknown",
    "settings_group_validation": [["site_id", "api_key"], ["sandbox"]],
    "variant": LOADER,
}


# What the target says of itself


@cache
def about() -> dict[str, Any]:
    """Return the output of ``target-customerio --about``."""
    done = subprocess.run(
        [sys.executable, "-m", "target_customerio", "--about", "--format=json"],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def settings() -> dict[str, dict[str, Any]]:
    """Return the schema of every setting, by name."""
    found: dict[str, dict[str, Any]] = about()["settings"]["properties"]
    return found


def group(name: str) -> list[str]:
    """Return the names of a group's settings, those that exist."""
    return [each for each in GROUPS[name][1] if each in settings()]


def ungrouped() -> set[str]:
    """Return the settings that no group has."""
    return settings().keys() - {each for name in GROUPS for each in group(name)}


def text_of(value: object) -> str:
    """Write a default as it is written in an environment variable."""
    return value if isinstance(value, str) else json.dumps(value)


def json_type(schema: dict[str, Any]) -> str:
    """Return the type of a setting, without ``null``."""
    return next(kind for kind in KINDS if kind in schema["type"])


# Markdown


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """Write a Markdown table.

    Args:
        head: The column names, separated by ``|``.
        rows: The cells.

    Returns:
        The table, one line a row.
    """
    names = head.split("|")
    lines = [names, ["---"] * len(names)]
    lines += [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fence(language: str, text: str) -> str:
    """Write a fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def stream_settings(_: str) -> str:
    """Return the settings that can be given for one stream."""
    return f"These settings can be given per stream: {_codes(SETTINGS_OF_STREAMS)}.\n"


def settings_table(name: str) -> str:
    """Return the table of a group of settings."""
    return table("Setting|Type|Default|Description", map(_setting_row, group(name)))


def _setting_row(name: str) -> list[str]:
    schema = settings()[name]
    kind = json_type(schema) + (", secret" if schema.get("secret") else "")
    if "enum" in schema:
        kind = ", ".join(f"`{choice}`" for choice in schema["enum"])
    default = f"`{text_of(schema['default'])}`" if "default" in schema else ""
    return [f"`{name}`", kind, default, schema["description"]]


def calls_table(_: str) -> str:
    """Return the calls, and the stream names that need no setting."""
    return table(
        "Call|Stream names|What a record becomes",
        (
            [f"`{call}`", _stream_names(call), CALL_NOTES[call]]
            for call in CALLS_OF_STREAMS
        ),
    )


def _stream_names(call: str) -> str:
    kind = CALL_KINDS.get(call)  # type: ignore[call-overload] # by_type is no call
    if kind is None or kind.plural is None:
        return "only by `stream_calls`"
    return f"`{call}`, `{kind.plural}`"


def actions_table(_: str) -> str:
    """Return the actions, their default event names and their operations."""
    return table(
        "Action|Default event names|Operation",
        (
            [f"`{name}`", ", ".join(action.events), ACTION_NOTES[name]]
            for name, action in ACTIONS.items()
        ),
    )


def columns_table(_: str) -> str:
    """Return the columns of flat rows that become no attribute."""
    return table(
        "Columns|Left out of",
        [
            [_codes(each for each in SPEC_FIELDS if each != DELETED_AT), "every row"],
            [_codes(["context", "context_*", "context__*"]), "every row"],
            [_codes([f"{METADATA_PREFIX}*"]), "every row"],
            [_codes([INTEGRATIONS]), "every row, if it is an object or its JSON text"],
            [_codes(["type"]), "every row, if it names the stream's call"],
            *(
                [_codes(call.fields), f"{call.name} rows"]
                for call in CALL_KINDS.values()
                if call.fields
            ),
            [
                _codes(MESSAGE_OVERRIDES),
                "event rows, with a warning; inside `properties` they are sent",
            ],
            [_codes(BOOKKEEPING), "rows of an event warehouse"],
        ],
    )


def warehouse_list(_: str) -> str:
    """Return the columns by which a row of an event warehouse is known."""
    return "".join(f"- {_codes(columns)}\n" for columns in WAREHOUSE_COLUMNS)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def reasons_table(_: str) -> str:
    """Return the reasons for which records are rejected."""
    return table(
        "Reason|Meaning", ([f"`{name}`", what] for name, what in REASONS.items())
    )


def activity_table(_: str) -> str:
    """Return the reasons in the sandbox's table ``activity``."""
    return table(
        "Reason|What happened",
        ([f"`{name}`", what] for name, what in ACTIVITY_REASONS.items()),
    )


LANGUAGES: Final = {
    ".yml": "yaml",
    ".py": "python",
    ".json": "json",
    ".sh": "bash",
    ".sql": "sql",
}


def file_block(path: str) -> str:
    """Return a file of the repository as a fenced block."""
    file = ROOT / path
    language = LANGUAGES.get(file.suffix, "text")
    return fence(language, file.read_text(encoding="utf-8"))


def recipe_block(name: str) -> str:
    """Return a recipe twice: as ``target.json`` and as a part of ``meltano.yml``."""
    text = (RECIPES / f"{name}.json").read_text(encoding="utf-8")
    plugin = {"plugins": {"loaders": [{"name": LOADER, "config": json.loads(text)}]}}
    return (
        "`target.json`:\n\n"
        + fence("json", text)
        + "\n`meltano.yml`:\n\n"
        + fence("yaml", yaml.dump(plugin, Dumper=_Indented, sort_keys=False, width=88))
    )


class _Indented(yaml.SafeDumper):
    """Indents lists below their key, as Meltano does."""

    def increase_indent(
        self,
        flow: bool = False,  # noqa: FBT001, FBT002 - PyYAML's own signature
        indentless: bool = False,  # noqa: ARG002, FBT001, FBT002
    ) -> None:
        super().increase_indent(flow, False)  # noqa: FBT003


def benchmark_table(name: str) -> str:
    """Return one of the benchmark's tables, or on what it was made."""
    folder = ROOT / "tests/benchmark"
    sys.path.insert(0, str(folder))
    try:
        import report  # noqa: PLC0415
    finally:
        sys.path.remove(str(folder))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return str(report.tables(results)[name]) + "\n"


CHANGES: Final = re.compile(
    r"^### Upgrading\n(?P<text>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL
)
VERSION: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def upgrading_notes(_: str) -> str:
    """Return what ``CHANGELOG.md`` says below ``### Upgrading``, by version."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _, *versions = VERSION.split(text)
    return "\n\n".join(
        f"## {version}\n\n{_as_list(notes['text'])}"
        for version, body in zip(versions[::2], versions[1::2], strict=True)
        if (notes := CHANGES.search(body))
    )


def _as_list(text: str) -> str:
    """Set a list off from the line before it, which Markdown asks for."""
    return re.sub(r"(?m)^(?!- |  )(\S.*)\n(?=- )", r"\1\n\n", text).strip() + "\n"


BLOCKS: Final[dict[str, Callable[[str], str]]] = {
    "settings": settings_table,
    "stream_settings": stream_settings,
    "calls": calls_table,
    "actions": actions_table,
    "columns": columns_table,
    "warehouse": warehouse_list,
    "reasons": reasons_table,
    "activity": activity_table,
    "file": file_block,
    "recipe": recipe_block,
    "benchmark": benchmark_table,
    "upgrading": upgrading_notes,
}
"""What a page can have derived, by the name in its marker."""

BLOCK: Final = re.compile(
    r"^(?P<start><!-- generated: (?P<name>\w+) ?(?P<argument>\S*) -->\n)"
    r".*?"
    r"^(?P<end><!-- /generated -->)$",
    re.MULTILINE | re.DOTALL,
)


def page(text: str) -> str:
    """Return a page with its derived blocks written anew."""
    return BLOCK.sub(
        lambda block: (
            block["start"]
            + "\n"
            + BLOCKS[block["name"]](block["argument"])
            + "\n"
            + block["end"]
        ),
        text,
    )


# Files for tools


ENVIRONMENT_HEAD: Final = """\
# Settings as environment variables, each with its default. Copy this file to .env,
# remove the `# ` before what you need, and keep the quotes. --config=ENV reads it
# from the working directory; variables of the environment itself take precedence.
"""


def environment_example() -> str:
    """Return ``.env.example``."""
    parts = [ENVIRONMENT_HEAD]
    for name, (title, _) in GROUPS.items():
        lines = "".join(map(_variable, group(name)))
        parts.append(f"## {title}\n\n{lines}")
    return "\n".join(parts)


def _variable(name: str) -> str:
    default = text_of(settings()[name].get("default", ""))
    return f"# {PREFIX}{name.upper()}='{default}'\n"


def meltano_setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a setting as Meltano describes it."""
    described = {
        "name": name,
        "kind": "options" if "enum" in schema else KINDS[json_type(schema)],
        "label": schema.get("title", name.replace("_", " ").capitalize()),
        "description": schema["description"],
    }
    if schema.get("secret"):
        described["sensitive"] = True
    if "default" in schema:
        described["value"] = schema["default"]
    if "enum" in schema:
        described["options"] = [
            {"label": _label(choice), "value": choice} for choice in schema["enum"]
        ]
    return described


def _label(choice: str) -> str:
    return choice.upper() if len(choice) == 2 else choice.replace("_", " ").capitalize()  # noqa: PLR2004 - a region


LOADER_SETTINGS: Final = re.compile(
    rf"(?P<head>^  - name: {LOADER}\n(?:    .*\n)*?    settings:\n)"
    r"(?:    .*\n)*",
    re.MULTILINE,
)


def meltano_project(text: str) -> str:
    """Return ``meltano.yml`` with the loader's settings written anew."""
    lines = "".join(
        line for name, schema in settings().items() for line in _lines(name, schema)
    )
    written, count = LOADER_SETTINGS.subn(lambda found: found["head"] + lines, text)
    if count != 1:
        raise ValueError(f"meltano.yml has {count} loaders named {LOADER}")
    return written


def _lines(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """Write a setting in the form that Meltano keeps when it rewrites the file."""
    described = meltano_setting(name, schema)
    yield f"    - name: {name}\n"
    for key in ("kind", "value", "label"):
        if key in described:
            yield f"      {key}: {_scalar(described[key])}\n"
    yield "      description: >-\n"
    lines = textwrap.wrap(
        described["description"],
        76,
        break_long_words=False,
        break_on_hyphens=False,  # a folded line is joined by a space
    )
    for line in lines:
        yield f"        {line}\n"
    if "sensitive" in described:
        yield "      sensitive: true\n"
    if "options" in described:
        yield "      options:\n"
        for option in described["options"]:
            yield f"      - label: {_scalar(option['label'])}\n"
            yield f"        value: {_scalar(option['value'])}\n"


def _scalar(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000)
    return text.removesuffix("...\n").strip()


PYTHONS: Final = re.compile(r'"Programming Language :: Python :: (3\.\d+)"')


def hub_definition() -> str:
    """Return the definition for Meltano Hub."""
    described = (meltano_setting(*each) for each in settings().items())
    definition = {
        **HUB_FIELDS,
        "capabilities": sorted(about()["capabilities"]),
        "settings": sorted(described, key=lambda setting: setting["name"]),
        "supported_python_versions": PYTHONS.findall(
            (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        ),
    }
    text: str = yaml.safe_dump(definition, width=88, allow_unicode=True)
    return text


# All of it


def derived() -> dict[Path, str]:
    """Return every file that is derived, or partly so, as it has to be."""
    project = ROOT / "meltano.yml"
    charts = (ROOT / "tests/benchmark").glob("*.svg")
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {
        **{file: page(file.read_text(encoding="utf-8")) for file in pages},
        ROOT / ".env.example": environment_example(),
        project: meltano_project(project.read_text(encoding="utf-8")),
        HUB: hub_definition(),
        **{
            ROOT / "docs" / each.name: each.read_text(encoding="utf-8")
            for each in charts
        },
    }


def outdated() -> dict[Path, str]:
    """Return the files that are not as they have to be, and what they should hold."""
    return {
        file: text
        for file, text in derived().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    }


def main(arguments: list[str]) -> int:
    """Write what is out of date, or only name it."""
    if names := ungrouped():
        sys.exit(f"GROUPS in {Path(__file__).name} lacks {', '.join(sorted(names))}")
    found = outdated()
    for file, text in found.items():
        sys.stdout.write(f"{file.relative_to(ROOT)}\n")
        if "--check" not in arguments:
            file.write_text(text, encoding="utf-8")
    return 1 if found and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
