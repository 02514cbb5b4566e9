"""The step ``--remove-missing``: removes what is gone from the tables of streams.

It is run after the pipeline, by whoever knows that the pipeline has succeeded: nothing
in a Singer stream says for sure that a table came whole.

- :mod:`.step` finds what is missing, and removes it through a pipeline.
- :mod:`.table` shows what is missing as a table in the log.
- :mod:`.recorder` counts what was removed.

The rules on what is missing and how much of it may be removed are in
:mod:`target_customerio.snapshot.missing`.
"""

from target_customerio.removal.step import remove_missing

__all__ = ["remove_missing"]
