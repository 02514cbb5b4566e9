"""Track events that are actions: the table of their names, and of what they do.

Source: "Actions" in the documentation of the Customer.io destination.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from target_customerio.conversion.actions import devices, objects, people, reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_customerio.conversion.stream import Act


class Action(NamedTuple):
    """What an event stands for.

    Attributes:
        act: Makes the operation.
        events: The names of the event, unless the user has others.
    """

    act: Act
    events: tuple[str, ...]


ACTIONS: Final[dict[str, Action]] = {
    "create_or_update_device": Action(
        devices.create_or_update,
        ("Application Installed", "Application Opened", "Device Created or Updated"),
    ),
    "delete_device": Action(
        devices.delete, ("Application Uninstalled", "Device Deleted")
    ),
    "delete_relationship": Action(
        objects.delete_relationship, ("Relationship Deleted",)
    ),
    "delete_person": Action(people.delete, ("User Deleted",)),
    "delete_object": Action(objects.delete, ("Object Deleted",)),
    "suppress_person": Action(people.suppress, ("User Suppressed",)),
    "unsuppress_person": Action(people.unsuppress, ("User Unsuppressed",)),
    "report_delivery_event": Action(reports.delivery, ("Report Delivery Event",)),
    "report_content_event": Action(reports.content, ("Report Content Event",)),
}


def events_of_actions(
    changed: Mapping[str, Sequence[str]],
) -> tuple[dict[str, str], list[str]]:
    """Turn the lists of event names around: from an event to its action.

    Args:
        changed: The actions whose list the user replaces, and their new lists.

    Returns:
        The action behind each event name, white space around it removed, and a line
        for each name that is blank or listed for two actions.
    """
    actions: dict[str, str] = {}
    errors: list[str] = []
    events = {name: action.events for name, action in ACTIONS.items()}
    for action, listed in _listed({**events, **changed}):
        name = listed.strip()
        if not name:
            errors.append(f"action_events: {action} lists a blank event name")
            continue
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
