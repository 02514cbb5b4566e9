"""A memory of which identities turned out to be one and the same person."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.delivery.queued import QueuedOperation


class TieMemory:
    """Says by which keys an operation has to be ordered.

    An identify that names an ``id`` and an ``email``, or a merge, makes two identities
    one person: from then on an operation on either has to keep its place among the
    operations on both. Each person so found has one identity that stands for all of
    them, and the keys of an operation are the identities that it names plus those
    that stand for them.

    What holds: two operations that name a common identity always share a key. Two
    that name different identities of one person share a key when the operation that
    tied these lies before both, as long as the tie is remembered. Where it lies between
    them, it shares a key with each and so keeps them apart. Only the most recently used
    ties are remembered; to forget one can lose the extra key, never the identity.

    The memory is a forest in which each identity points towards the one that stands
    for it. Only a root is ever made to point, and only to another root, so that there
    are no circles, and to forget an entry merely makes a root of it.
    """

    def __init__(self, capacity: int = 50_000) -> None:
        """Remember nothing yet.

        Args:
            capacity: Most identities that are remembered.
        """
        self._capacity = capacity
        self._towards: OrderedDict[str, str] = OrderedDict()
        self.tied: Mapping[str, str] = self._towards
        """The identities for which another stands."""

    def keys(self, operation: QueuedOperation) -> tuple[str, ...]:
        """Name the keys of an operation, and remember what it ties together.

        Args:
            operation: The next operation of the run.

        Returns:
            Its identities, and those that stood for them until now. Of what it ties,
            which is among its identities, one of these stands for all from now on.
        """
        identities = operation.identities
        keys = dict.fromkeys(identities)
        for identity in identities:
            keys[self._standing_for(identity)] = None
        for other in operation.ties[1:]:
            self._tie(operation.ties[0], other)
        self._forget()
        return tuple(keys)

    def __len__(self) -> int:
        """Count the identities that point to another."""
        return len(self._towards)

    def _tie(self, one: str, other: str) -> None:
        stands, falls = self._standing_for(one), self._standing_for(other)
        if stands != falls:
            self._towards[falls] = stands

    def _standing_for(self, identity: str) -> str:
        towards = self._towards
        root = identity
        while root in towards:
            root = towards[root]
        while identity != root:  # next time it is one step
            following = towards[identity]
            towards[identity] = root
            towards.move_to_end(identity)
            identity = following
        return root

    def _forget(self) -> None:
        while len(self._towards) > self._capacity:
            self._towards.popitem(last=False)
