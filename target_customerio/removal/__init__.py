"""The step ``--remove-missing``: removes what is gone from the tables of streams.

It is run after the pipeline, by whoever knows that the pipeline has succeeded: nothing
in a Singer stream says for sure that a table came whole.

- :mod:`.step` finds what is missing, and removes it through the pipeline of a run.
- :mod:`.table` shows what is missing.
- :mod:`.recorder` counts what was removed.

What is missing, and what of it may go, is decided in
:mod:`target_customerio.snapshot.missing`.
"""

from target_customerio.removal.step import remove_missing

__all__ = ["remove_missing"]
