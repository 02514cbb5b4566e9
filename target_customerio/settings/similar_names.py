"""Names of streams and settings that match nothing, and what was probably meant."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import MAPPER_SOURCE_OPTION, NULL_STRING

from target_customerio.errors import MAX_STREAM_CHARACTERS, shown_stream
from target_customerio.settings.schema import CALLS_OF_STREAMS

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


def unmapped_stream(stream: str, names: Iterable[str]) -> str:
    """Return what to do about a stream that is not mapped to a call.

    Args:
        stream: The stream, as named after stream maps.
        names: The names in ``stream_calls``.
    """
    meant = closest_name(stream, names)
    hint = "" if meant is None else f" (stream_calls has a similar name, {meant!r})"
    is_long = len(stream) > MAX_STREAM_CHARACTERS
    name = f"{stream[:MAX_STREAM_CHARACTERS]}..." if is_long else stream
    # Users copy it, so characters that cannot be seen are escaped as JSON has them.
    example = json.dumps(
        {"stream_calls": {name: "identify"}}, ensure_ascii=not name.isprintable()
    )
    *calls, last = CALLS_OF_STREAMS
    return (
        f"Stream {shown_stream(stream)} is not mapped to a call{hint}. Set it in "
        f"stream_calls to {', '.join(calls)} or {last}, for example {example}. To drop "
        "the stream, set unmapped_streams to ignore"
    )


ALIKE_STREAMS: Final = 0.5
"""Lower for streams than for settings: ``*-user`` may be meant for
``public-users``."""


@dataclass(frozen=True)
class Unmatched:
    """A name or pattern in a setting that matched no stream, and the closest stream."""

    name: str
    closest: str | None


def unmatched_names(
    calls: Iterable[str], maps: Mapping[str, Any], raw: list[str], mapped: list[str]
) -> Iterator[tuple[int, str]]:
    """Yield lines on names in the settings that matched no stream, with log levels.

    ``calls`` are the names in ``stream_calls``, ``maps`` is the setting; ``raw`` and
    ``mapped`` are the streams of the run, before and after stream maps.
    """
    if not raw:
        return
    for setting, names in (
        ("stream_calls", unmatched_calls(calls, mapped)),
        ("stream_maps", unmatched_maps(maps, raw)),
    ):
        others = []
        for each in names:
            if each.closest is None:
                others.append(repr(each.name))
            else:
                meant = f"(did you mean {each.closest!r}?)"
                yield (
                    logging.WARNING,
                    f"{setting}: no stream matched {each.name!r} {meant}",
                )
        if others:
            yield logging.INFO, f"{setting}: no stream matched {', '.join(others)}"


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
