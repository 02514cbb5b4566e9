"""Delivery of operations to Customer.io: in order, within the limits, all of them.

``build_session`` → :class:`Client` → :class:`Sender` → :class:`Delivery`; an operation
becomes ready for :meth:`Delivery.put` by :func:`enqueueable`, and a :class:`Listener`
is told what becomes of it.
"""

from target_customerio.delivery.lane import QueuedOperation, enqueueable
from target_customerio.delivery.sender import Sender, Statistics
from target_customerio.delivery.worker import Delivery, Listener
from target_customerio.track_api.client import Client, build_session
from target_customerio.track_api.endpoints import URLS as REGION_URLS
from target_customerio.track_api.endpoints import Limits

__all__ = [
    "REGION_URLS",
    "Client",
    "Delivery",
    "Limits",
    "Listener",
    "QueuedOperation",
    "Sender",
    "Statistics",
    "build_session",
    "enqueueable",
]
