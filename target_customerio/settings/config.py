"""The configuration as it is given: read, completed and checked against its schema.

Messages never contain a value: a setting may be a secret.
"""

from __future__ import annotations

import os
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from dotenv.parser import parse_stream
from singer_sdk.plugin_base import JSONSchemaValidator

from target_customerio.errors import SettingsError
from target_customerio.settings.schema import CALL, SETTINGS_OF_STREAMS, STREAM_CALL
from target_customerio.settings.similar_names import closest_name
from target_customerio.settings.stream_maps import joined_maps, map_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jsonschema import ValidationError


def complete(config: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Complete a configuration in place; return a line for each error.

    Null counts as not set, numbers given as text (as in the environment) become
    numbers, nested names of streams are joined, and defaults are filled in.
    """
    for name in [name for name, value in config.items() if value is None]:
        del config[name]
    for name, value in config.items():
        if isinstance(value, str) and name in schema["properties"]:
            config[name] = _number(value, schema["properties"][name])
        elif isinstance(value, float) and not isfinite(value):
            config[name] = str(value)  # no number in JSON, so none here
    for name, join in (("stream_calls", joined_calls), ("stream_maps", joined_maps)):
        if isinstance(config.get(name), dict):
            config[name] = join(config[name])
    maps = config.get("stream_maps")
    wrong_maps = [*map_errors(maps)] if isinstance(maps, dict) else []
    # The SDK's schema of stream maps says of most errors only that it does not match.
    others = {name: value for name, value in config.items() if name != "stream_maps"}
    checked = others if wrong_maps else config
    errors = JSONSchemaValidator(schema).iter_errors(checked)
    return [*dict.fromkeys(explained(error) for error in errors), *wrong_maps]


def call_errors(value: object, name: str) -> list[str]:
    """Return a line for each error of a value that ``stream_calls`` might have.

    Args:
        value: The value: a call, or an object with one.
        name: What the lines call it.
    """
    given = _without_nulls(value) if isinstance(value, dict) else value
    errors = JSONSchemaValidator(STREAM_CALL).iter_errors(given)
    return [explained(error, name) for error in errors]


def unknown_settings(
    config: Mapping[str, Any], schema: Mapping[str, Any]
) -> dict[str, str | None]:
    """Return the names that are no settings, each with the setting it resembles."""
    known = schema["properties"].keys()
    return {name: closest_name(name, known) for name in sorted(config.keys() - known)}


def _number(text: str, schema: Mapping[str, Any]) -> object:
    """Convert text to a number if the setting is a number."""
    types = schema.get("type", ())
    for kind, read in (("integer", int), ("number", float)):
        if kind in types:
            try:
                number = read(text)
            except ValueError:
                return text
            return number if isfinite(number) else text
    return text


def _types(rule: str | Sequence[str]) -> str:
    """Return the types of a rule in words, without null, which means not set."""
    types = [rule] if isinstance(rule, str) else rule
    return " or ".join(TYPES.get(each, each) for each in types if each != "null")


TYPES: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "an object",
    "string": "text",
}
"""What a value of each type of JSON is called."""


EXPECTATIONS: Final[dict[str, Callable[[Any], str]]] = {
    "enum": lambda rule: "one of " + ", ".join(str(value) for value in rule),
    "type": _types,
    "minimum": lambda rule: f"at least {rule}",
    "maximum": lambda rule: f"at most {rule}",
    "exclusiveMinimum": lambda rule: f"more than {rule}",
    "minLength": lambda _: "some text",
    # The setting max_deletions is the only one with a pattern.
    "pattern": lambda _: "a number such as 100, or a share such as 10%",
    "required": lambda rule: "an object with " + ", ".join(rule),
}
"""Text on the valid values of a setting, by the rule that fails."""


def explained(error: ValidationError, *inside: str) -> str:
    """Return a line on the setting that is invalid and the values it may have.

    Args:
        error: What is wrong with it.
        inside: The path of what was validated; empty for the whole configuration.
    """
    path = [*inside, *map(str, error.absolute_path)]
    setting = ".".join(path) or "config"
    rule = str(error.validator)
    if stream := _stream_without_call(path, rule):
        return (
            f"stream_calls.{stream}: the entry call is missing. An object in an "
            "environment variable replaces the one in a file, so repeat all entries"
        )
    if rule == "additionalProperties":
        return f"{setting}: {_unknown_entries(error)}"
    if rule in EXPECTATIONS:
        return f"{setting}: expected {EXPECTATIONS[rule](error.validator_value)}"
    return f"{setting}: does not match the setting's schema ({rule})"


def _stream_without_call(path: Sequence[str], rule: str) -> str | None:
    """Return the stream whose settings were joined to its name, for lack of a call."""
    if path[:-1] != ["stream_calls"] or rule != "enum":
        return None
    stream, _, setting = path[-1].rpartition(".")
    return stream if setting in SETTINGS_OF_STREAMS else None


def _unknown_entries(error: ValidationError) -> str:
    """Return which entries of an object are unknown, and which there are.

    An entry that resembles none is not shown: it may be anything, even a secret.
    """
    schema: Any = error.schema
    entries: Any = error.instance
    known = schema["properties"].keys()
    similar = {name: closest_name(name, known) for name in entries.keys() - known}
    hints = "".join(
        f" {name!r} (did you mean {meant!r}?)"
        for name, meant in sorted(similar.items())
        if meant is not None
    )
    return f"unknown entry{hints}; expected only {', '.join(known)}"


NOT_SETTINGS: Final = frozenset({"loglevel"})
"""Variables with the settings' prefix that the SDK reads for other purposes."""

BOOLEANS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def variables_of_file(path: str, prefix: str) -> dict[str, str]:
    """Return the variables in a ``.env`` file; empty if there is no such file.

    The SDK searches parent folders too and lets the file override the environment,
    either of which could send a sandbox run to production. So could a line that is
    skipped because it cannot be read.

    Args:
        path: The file.
        prefix: How the names of this program's variables begin.

    Raises:
        SettingsError: The file, or a line that names a variable of this program, cannot
            be read.
    """
    if not Path(path).exists() or Path(path).is_dir():  # a virtual environment
        return {}
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            # Values are JSON, in which a dollar sign is only text.
            bindings = list(parse_stream(file))
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"Cannot read {path} ({type(error).__name__}): expected lines NAME=value "
            "in UTF-8"
        ) from error
    for each in bindings:
        text = each.original.string
        # Docker passes on the variable of the environment for a name without a value.
        has_value = each.value is not None or each.key is None or each.key in os.environ
        is_read = has_value and not each.error
        if not is_read and prefix in text.upper():
            blank_lines = text[: -len(text.lstrip())].count("\n")
            raise SettingsError(
                f"Cannot read line {each.original.line + blank_lines} of {path}: "
                "expected NAME=value; quotes have to be closed, with nothing but a "
                "comment after them"
            )
    return {
        each.key: each.value
        for each in bindings
        if each.key is not None and each.value is not None
    }


def settings_in(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    """Return the settings in environment variables; numbers are still text.

    The SDK's own parser reads a misspelt boolean as false and quotes values in errors.

    Raises:
        SettingsError: Variables have invalid values; one line each, without the value.
    """
    settings: dict[str, Any] = {}
    errors = [*_in_other_case(environment, schema, prefix)]
    for name, about in schema["properties"].items():
        text = environment.get(f"{prefix}{name.upper()}")
        if not text:
            continue
        types = about.get("type", ())
        if "boolean" in types:
            settings[name] = BOOLEANS.get(text.lower())
            expected = "true or false"
        elif "object" in types:
            settings[name] = _object(text)
            own = f"{prefix}{name.upper()}_"
            if settings[name] and any(each.startswith(own) for each in environment):
                settings[name] = nested(settings[name])
            expected = "a JSON object (between single quotes in .env or a shell)"
        else:
            settings[name] = text
        if settings[name] is None:
            errors.append(f"{name}: expected {expected} in {prefix}{name.upper()}")
    if errors:
        raise SettingsError(*errors)
    return settings | _unknown(environment, schema, prefix)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with its dotted names as objects, as Meltano's file has it.

    In the environment, Meltano writes ``{"users": {"call": "identify"}}`` as
    ``{"users.call": "identify"}``, and a variable of its own for each entry.
    If one name is a value and also the beginning of another name, nothing is nested.
    """
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        inside = found
        for step in path:
            inside = inside.setdefault(step, {})
            if not isinstance(inside, dict):
                return dict(flat)
        if last in inside:
            return dict(flat)
        inside[last] = value
    return found


def _in_other_case(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> Iterator[str]:
    """Yield a line for each variable that is only read in upper case."""
    known = {f"{prefix}{name.upper()}" for name in schema["properties"]}
    for name in environment:
        right = name.upper()
        if right != name and right in known and not environment.get(right):
            yield f"{name} is not read: write {right}, in upper case"


def _unknown(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> dict[str, str]:
    """Return the variables with the prefix that are not settings; the caller warns."""
    ours = [
        name for name in environment if name.startswith(prefix) and environment[name]
    ]
    names = {name.removeprefix(prefix).lower() for name in ours}
    unknown = names - schema["properties"].keys() - NOT_SETTINGS
    # Meltano adds variables of its own, and one for each entry of an object.
    of_meltano = ("_", *(f"{name}_" for name in _objects(schema)))
    return {name: "" for name in unknown if not name.startswith(of_meltano)}


def _objects(schema: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, about in schema["properties"].items()
        if "object" in about.get("type", ())
    ]


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return value if isinstance(value, dict) else None


def joined_calls(calls: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``stream_calls`` with dotted names: Meltano nests them as objects.

    An object without ``call`` continues the name of the stream.
    """
    return dict(_calls(calls, ""))


def _calls(calls: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in calls.items():
        if not isinstance(value, dict) or not value:
            yield prefix + name, value
        elif isinstance(value.get(CALL), str):
            yield prefix + name, _without_nulls(value)
        else:
            yield from _calls(value, f"{prefix}{name}.")


def _without_nulls(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without nulls, which mean not set."""
    return {name: value for name, value in settings.items() if value is not None}
