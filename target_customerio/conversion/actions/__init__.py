"""Track events that are actions: the table of their names, and of what they do.

Source: "Actions" in the documentation of the Customer.io destination.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.conversion.actions import devices, objects, people, reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_customerio.conversion.stream import Act

ACTIONS: dict[str, Act] = {
    "create_or_update_device": devices.create_or_update,
    "delete_device": devices.delete,
    "delete_relationship": objects.delete_relationship,
    "delete_person": people.delete,
    "delete_object": objects.delete,
    "suppress_person": people.suppress,
    "unsuppress_person": people.unsuppress,
    "report_delivery_event": reports.delivery,
    "report_content_event": reports.content,
}

DEFAULT_EVENTS: dict[str, tuple[str, ...]] = {
    "create_or_update_device": (
        "Application Installed",
        "Application Opened",
        "Device Created or Updated",
    ),
    "delete_device": ("Application Uninstalled", "Device Deleted"),
    "delete_relationship": ("Relationship Deleted",),
    "delete_person": ("User Deleted",),
    "delete_object": ("Object Deleted",),
    "suppress_person": ("User Suppressed",),
    "unsuppress_person": ("User Unsuppressed",),
    "report_delivery_event": ("Report Delivery Event",),
    "report_content_event": ("Report Content Event",),
}


def events_of_actions(
    changed: Mapping[str, Sequence[str]],
) -> tuple[dict[str, str], list[str]]:
    """Turn the lists of event names around: from an event to its action.

    Args:
        changed: The actions whose list the user replaces, and their new lists.

    Returns:
        The action behind each event name, and a line for each name that is listed for
        two actions.
    """
    actions: dict[str, str] = {}
    errors: list[str] = []
    for action, name in _listed({**DEFAULT_EVENTS, **changed}):
        first = actions.setdefault(name, action)
        if first != action:
            errors.append(
                f"action_events: the event {name!r} is listed for {first} and for "
                f"{action}; list it for one of them only"
            )
    return actions, errors


def _listed(events: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for action, names in events.items():
        for name in names:
            yield action, name
