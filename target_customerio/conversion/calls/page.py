"""Page: a page view, known by its name or else by its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.conversion.containers import lookup, lookup_in_context
from target_customerio.conversion.happenings import happening, name_of
from target_customerio.errors import RejectedRecord
from target_customerio.operations import PersonPage

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream


def convert(call: Call, stream: Stream) -> PersonPage:
    """Convert a page call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The page view.

    Raises:
        RejectedRecord: The call cannot become one.
    """
    name = (
        name_of(call.fields.get("name"), "name")
        or name_of(lookup(call.body, "url"), "properties.url")
        or name_of(lookup_in_context(call.context, "page", "url"), "context.page.url")
    )
    if name is None:
        raise RejectedRecord("required", "name", "missing name or URL of the page view")
    return happening(PersonPage, name, call, stream, f"page:{name}")
