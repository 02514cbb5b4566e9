"""Identities that belong to the same person."""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.delivery.queued_operation import QueuedOperation


ENTRY_MEMORY: Final = 150
"""Approximate memory of an entry beside its texts, in bytes."""


class IdentityLinks:
    """Finds the keys that an operation is ordered by.

    An identify with an ``id`` and an ``email``, or a merge, links two identities to one
    person: later operations on either must keep their order among the operations on
    both. Each person has one root identity; the keys of an operation are the identities
    that it names and their roots.

    Invariant: two operations that name a common identity share a key. Two that name
    different identities of a person share a key if the operation that linked these came
    before both, as long as the link is remembered; if it came between them, it shares a
    key with each and so keeps them in order. Only the most recently used links are
    remembered; forgetting one can lose a root, never an identity that is named.

    The data structure is a union-find forest. Only a root gets a parent, and only
    another root, so there are no cycles; a forgotten entry becomes a root again.
    """

    def __init__(self, max_bytes: int = 16 << 20) -> None:
        """Start empty; the links take at most about ``max_bytes`` of memory."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._parents: OrderedDict[str, str] = OrderedDict()
        self.parents: Mapping[str, str] = self._parents
        """Every identity that is not a root, and its parent."""

    def __len__(self) -> int:
        """Number of identities with a parent."""
        return len(self._parents)

    def keys(self, operation: QueuedOperation) -> tuple[str, ...]:
        """Return the keys of the run's next operation, then add the links it makes.

        The keys hold the roots as they were before; one of them is the common root of
        the linked identities from now on.
        """
        identities = operation.identities
        keys = dict.fromkeys(identities)
        if not operation.linked and self._parents.keys().isdisjoint(identities):
            return tuple(keys)  # most operations on an object and a person
        for identity in identities:
            keys[self._root(identity)] = None
        for other in operation.linked[1:]:
            self._link(operation.linked[0], other)
        self._evict()
        return tuple(keys)

    def _link(self, one: str, other: str) -> None:
        root, child = self._root(one), self._root(other)
        if root != child:
            self._parents[child] = root
            self._bytes += _memory_of(child, root)

    def _root(self, identity: str) -> str:
        parents = self._parents
        root = identity
        while root in parents:
            root = parents[root]
        while identity != root:  # compress the path
            parent = parents[identity]
            parents[identity] = root
            self._bytes += getsizeof(root) - getsizeof(parent)
            parents.move_to_end(identity)
            identity = parent
        return root

    def _evict(self) -> None:
        while self._bytes > self._max_bytes:
            self._bytes -= _memory_of(*self._parents.popitem(last=False))


def _memory_of(child: str, parent: str) -> int:
    return ENTRY_MEMORY + getsizeof(child) + getsizeof(parent)
