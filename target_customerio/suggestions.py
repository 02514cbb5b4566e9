"""Suggestions for misspelt names of settings and streams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import MAPPER_SOURCE_OPTION, NULL_STRING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


ALIKE: Final = 0.8
"""Similarity (0 to 1) from which a name counts as a misspelling of another."""


def closest_name(
    name: str, names: Iterable[str], *, alike: float = ALIKE
) -> str | None:
    """Return the most similar of some names, if one has at least that similarity.

    Only letters and digits are compared.
    """
    plain = {_plain(each): each for each in names}
    found = get_close_matches(_plain(name), plain, n=1, cutoff=alike)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


ALIKE_STREAMS: Final = 0.5
"""Lower for streams than for settings: ``*-user`` may be meant for
``public-users``."""


@dataclass(frozen=True)
class Unmatched:
    """A name or pattern in a setting that matched no stream, and the closest stream."""

    name: str
    closest: str | None


def unmatched_calls(names: Iterable[str], streams: Iterable[str]) -> list[Unmatched]:
    """Return the names in ``stream_calls`` that matched no stream, in order.

    ``streams`` are the streams of the run as named after stream maps.
    """
    return _unmatched({name: name for name in names}, list(streams))


def unmatched_maps(maps: Mapping[str, Any], streams: Iterable[str]) -> list[Unmatched]:
    """Return the names in ``stream_maps`` that matched no stream, in order.

    ``maps`` is the setting with dotted names, ``streams`` are the streams of the run as
    named by the tap.
    """
    streams = list(streams)
    implied = {
        whole: name
        for name, stream_map in maps.items()
        for whole in _implied(name, stream_map)
    }
    matched = {name for whole, name in implied.items() if whole in streams}
    return _unmatched(
        {
            name: _source(name, stream_map)
            for name, stream_map in maps.items()
            if name not in implied and name not in matched
        },
        streams,
    )


def _unmatched(sources: Mapping[str, str], streams: list[str]) -> list[Unmatched]:
    # A stream that another name matches exactly is not suggested.
    others = [stream for stream in streams if stream not in sources.values()]
    return [
        Unmatched(name, closest_name(source, others, alike=ALIKE_STREAMS))
        for name, source in sources.items()
        if not _matches(source, streams)
    ]


def _matches(name: str, streams: list[str]) -> bool:
    return name in streams or any(fnmatchcase(stream, name) for stream in streams)


def _source(name: str, stream_map: object) -> str:
    if isinstance(stream_map, dict):
        return str(stream_map.get(MAPPER_SOURCE_OPTION, name))
    return name


def _implied(name: str, stream_map: object) -> Iterator[str]:
    """Yield the streams that a dropped column may name, see ``joined_maps``."""
    if isinstance(stream_map, dict):
        for column, value in stream_map.items():
            if value == NULL_STRING:
                yield f"{name}.{column}"
