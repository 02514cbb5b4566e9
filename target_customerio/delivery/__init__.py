"""Delivery of operations to Customer.io: in order, within the limits, all of them.

``build_session`` → :class:`Client` → :class:`Sender` → :class:`Delivery`; an operation
becomes ready for :meth:`Delivery.put` by :func:`enqueueable`, and a :class:`Listener`
is told what becomes of it.
"""

from target_customerio.delivery.client import Client, build_session
from target_customerio.delivery.delivery import Delivery
from target_customerio.delivery.ledger import Listener
from target_customerio.delivery.limits import Limits
from target_customerio.delivery.queued import QueuedOperation, enqueueable
from target_customerio.delivery.regions import URLS as REGION_URLS
from target_customerio.delivery.sender import Sender
from target_customerio.delivery.statistics import Statistics

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
