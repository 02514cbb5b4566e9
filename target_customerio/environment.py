"""Settings from the environment, each mistake told by the name of the setting.

The SDK reads them too, but ends with a traceback that quotes the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from target_customerio.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_SETTINGS: Final = frozenset({"loglevel"})
"""What the SDK reads from the environment that is no setting."""

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


def settings_in(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    """Read the settings that the environment holds.

    Args:
        environment: The environment.
        schema: The JSON schema of the settings.
        prefix: What the variables begin with.

    Returns:
        The settings by their names; numbers are still text.

    Raises:
        SettingsError: A variable does not hold what the setting may be.
    """
    settings: dict[str, Any] = {}
    errors: list[str] = []
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
            expected = "a JSON object"
        else:
            settings[name] = text
        if settings[name] is None:
            errors.append(f"{name}: expected {expected} in {prefix}{name.upper()}")
    if errors:
        raise SettingsError(*errors)
    return settings | _unknown(environment, schema, prefix)


def _unknown(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> dict[str, str]:
    """Return what looks like a setting and is none, to be warned of like any other."""
    ours = [
        name for name in environment if name.startswith(prefix) and environment[name]
    ]
    names = {name.removeprefix(prefix).lower() for name in ours}
    unknown = names - schema["properties"].keys() - NO_SETTINGS
    # Meltano has variables of its own, and one for each entry of an object.
    meltanos = ("_", *(f"{name}_" for name in _objects(schema)))
    return {name: "" for name in unknown if not name.startswith(meltanos)}


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
