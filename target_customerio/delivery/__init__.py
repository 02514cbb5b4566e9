"""Delivers operations to Customer.io: in order, within its limits, with retries.

:func:`build_session` → :class:`Client` → :class:`Sender` → :class:`Delivery`.
:func:`encode_operation` prepares an operation for :meth:`Delivery.put`; a
:class:`Recorder` receives the results.
"""

from target_customerio.delivery.queued_operation import (
    QueuedOperation,
    encode_operation,
)
from target_customerio.delivery.sender import RequestStatistics, Sender
from target_customerio.delivery.worker import Delivery, Recorder
from target_customerio.track_api.client import Client, build_session
from target_customerio.track_api.endpoints import URLS as REGION_URLS
from target_customerio.track_api.endpoints import Limits

__all__ = [
    "REGION_URLS",
    "Client",
    "Delivery",
    "Limits",
    "QueuedOperation",
    "Recorder",
    "RequestStatistics",
    "Sender",
    "build_session",
    "encode_operation",
]
