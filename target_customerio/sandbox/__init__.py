"""Customer.io in one SQLite file: no account, no network, no server.

A request comes in at :mod:`.adapter`, is routed by :mod:`.api`, and each operation in
it is looked up in :mod:`.catalogue`, which says how it is checked and what applies it.
The tables stand in :mod:`.store`. What the sandbox knows of Customer.io comes from the
published description of the Track API; every fact names its place there, and what
that description leaves open is decided, and said, where it is decided.
"""

from target_customerio.sandbox.adapter import SandboxAdapter
from target_customerio.sandbox.workspace import Workspace

__all__ = ["SandboxAdapter", "Workspace"]
