"""The name that was probably meant, for one that does not exist."""

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
"""From here on a name is taken for another one that is misspelt."""


def lookalike(name: str, names: Iterable[str], *, alike: float = ALIKE) -> str | None:
    """Find the name that resembles another one most, by letters and digits alone.

    Args:
        name: A name that does not exist.
        names: Those that do.
        alike: How much they must resemble each other, from 0 to 1.

    Returns:
        The most similar name, or ``None`` where none is similar enough.
    """
    plain = {_plain(each): each for each in names}
    found = get_close_matches(_plain(name), plain, n=1, cutoff=alike)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


ALIKE_STREAMS: Final = 0.5
"""Names of streams resemble each other less than settings: ``*-user`` may stand for
``public-users``."""


@dataclass(frozen=True)
class Unmatched:
    """A name that matched no stream.

    Attributes:
        name: The name or pattern.
        closest: The stream whose name is the most similar, if one is similar at all.
    """

    name: str
    closest: str | None


def unmatched_calls(names: Iterable[str], streams: Iterable[str]) -> list[Unmatched]:
    """Find the names in ``stream_calls`` that matched no stream.

    Args:
        names: The names and patterns of the setting.
        streams: The streams of the run, after stream maps.

    Returns:
        The names that matched none, in order.
    """
    return _unmatched({name: name for name in names}, list(streams))


def unmatched_maps(maps: Mapping[str, Any], streams: Iterable[str]) -> list[Unmatched]:
    """Find the names in ``stream_maps`` that matched no stream.

    Args:
        maps: The setting, its names with dots put together.
        streams: The streams of the run as the tap names them.

    Returns:
        The names that matched none, in order.
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
    # A stream that is named as it should be is not what another name stands for.
    others = [stream for stream in streams if stream not in sources.values()]
    return [
        Unmatched(name, lookalike(source, others, alike=ALIKE_STREAMS))
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
    """Name the streams that a dropped column may stand for, see ``dotted_names``."""
    if isinstance(stream_map, dict):
        for column, value in stream_map.items():
            if value == NULL_STRING:
                yield f"{name}.{column}"
