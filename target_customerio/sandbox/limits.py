"""How large attributes may be.

Source: "Customer limits" and "Object and relationship limits" in the overview of the
API description. Where Customer.io would shorten or drop something without a word, the
sandbox refuses it, so that it is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exact_json
from .validation import LONGEST_ID, LONGEST_VALUE, Fault, fault, is_longer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_customerio.operations import JSON

LONGEST_NAME = 150
MOST_ATTRIBUTES = 300


def naming_attribute(value: JSON, field: str) -> Iterator[Fault]:
    """Hold that an attribute can serve as an identifier.

    A number is taken as its digits; an empty string removes the identifier.

    Args:
        value: The value.
        field: Its name.

    Yields:
        What is wrong.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        yield fault("invalid", field, "Must be a string.")
    elif field.endswith(".id") and is_longer(str(value), LONGEST_ID):
        yield fault("too_long", field, f"Must not exceed {LONGEST_ID} bytes.")


def limited(value: JSON, field: str) -> Iterator[Fault]:
    """Hold that attributes of a person, an object or a relationship are within limits.

    The size of a list or an object is that of its compact JSON.

    Args:
        value: The attributes.
        field: Their name.

    Yields:
        What is wrong.
    """
    if not isinstance(value, dict):
        yield fault("invalid", field, "Must be an object.")
        return
    if len(value) > MOST_ATTRIBUTES:
        message = f"Must not have more than {MOST_ATTRIBUTES} attributes."
        yield fault("too_many", field, message)
    for name, attribute in value.items():
        if is_longer(name, LONGEST_NAME):
            message = f"A name in it exceeds {LONGEST_NAME} bytes."
            yield fault("too_long", field, message)
        elif attribute is not None and _is_large(attribute):
            message = f"Must not exceed {LONGEST_VALUE} bytes."
            yield fault("too_long", f"{field}.{name}", message)


def _is_large(value: JSON) -> bool:
    if isinstance(value, str):
        return is_longer(value, LONGEST_VALUE)
    return len(exact_json.encode(value)) > LONGEST_VALUE
