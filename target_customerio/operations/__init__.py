"""Every operation of Customer.io's Track API v2, and the delivery report of v1.

The classes mirror the schemas of the published API description (``identify_person``
and its eleven siblings, ``object_identify`` and its four, ``track-metrics``); a field
that a schema lets one leave out is left out of the JSON while it is ``UNSET``.

An operation knows what it is called in the summary (:attr:`Operation.label`), whom and
what it names (:meth:`Operation.identities`) and which of these it says are one and the
same person (:meth:`Operation.ties`). It knows nothing of HTTP.
"""

from __future__ import annotations

from target_customerio.operations.base import (
    JSON,
    PERSON_ATTRIBUTES_THAT_IDENTIFY,
    SHARED_BY_MANY,
    Attributes,
    ObjectIdentifiers,
    Operation,
    PersonIdentifiers,
    object_identity,
    person_identity,
)
from target_customerio.operations.delivery import (
    DeliveryReport,
)
from target_customerio.operations.object import (
    ObjectAddRelationships,
    ObjectDelete,
    ObjectDeleteRelationships,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    ObjectOperation,
    PersonRelationship,
    RelatedObjectOperation,
)
from target_customerio.operations.person import (
    Device,
    DeviceToken,
    ObjectRelationship,
    PersonAddDevice,
    PersonAddRelationships,
    PersonContentReport,
    PersonDelete,
    PersonDeleteDevice,
    PersonDeleteRelationships,
    PersonEvent,
    PersonHappening,
    PersonIdentify,
    PersonMerge,
    PersonOperation,
    PersonPage,
    PersonRelationshipsOperation,
    PersonScreen,
    PersonSuppress,
    PersonUnsuppress,
)
from target_customerio.operations.segment import (
    SegmentAdd,
    SegmentChange,
    SegmentRemove,
)

__all__ = [
    "JSON",
    "PERSON_ATTRIBUTES_THAT_IDENTIFY",
    "SHARED_BY_MANY",
    "Attributes",
    "DeliveryReport",
    "Device",
    "DeviceToken",
    "ObjectAddRelationships",
    "ObjectDelete",
    "ObjectDeleteRelationships",
    "ObjectIdentifiers",
    "ObjectIdentify",
    "ObjectIdentifyAnonymous",
    "ObjectOperation",
    "ObjectRelationship",
    "Operation",
    "PersonAddDevice",
    "PersonAddRelationships",
    "PersonContentReport",
    "PersonDelete",
    "PersonDeleteDevice",
    "PersonDeleteRelationships",
    "PersonEvent",
    "PersonHappening",
    "PersonIdentifiers",
    "PersonIdentify",
    "PersonMerge",
    "PersonOperation",
    "PersonPage",
    "PersonRelationship",
    "PersonRelationshipsOperation",
    "PersonScreen",
    "PersonSuppress",
    "PersonUnsuppress",
    "RelatedObjectOperation",
    "SegmentAdd",
    "SegmentChange",
    "SegmentRemove",
    "object_identity",
    "person_identity",
]
