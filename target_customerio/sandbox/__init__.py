"""A Customer.io workspace in one SQLite file: no account, no network, no server.

- :mod:`.adapter` is the transport for a ``requests`` session; :mod:`.endpoints` decides
  what it answers.
- :mod:`.catalogue` lists every operation, with its validation rule and the function
  that applies it (in :mod:`.people`, :mod:`.objects` or :mod:`.events`).
- :mod:`.rules` are what validation rules are made of.
- :mod:`.identity` finds people by their identifiers.
- :mod:`.workspace` is the open file with its transactions and its activity log, of
  whose entries :mod:`.activity` lists the kinds.
- :mod:`.store` holds the tables and opens the file; :mod:`.views` and
  :mod:`.datasette` show its contents to people.
- :mod:`.observation` notes the people whom a run changes, :mod:`.sample_reader` reads
  some of them at its end, and :mod:`.sample` is what it returns, for the report.

Behaviour follows the published description of the Track API. Docstrings cite the place,
or say that the description is silent and what the sandbox does instead.
"""

from target_customerio.sandbox.adapter import SandboxAdapter
from target_customerio.sandbox.workspace import Workspace

__all__ = ["SandboxAdapter", "Workspace"]
