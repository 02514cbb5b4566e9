"""Maps a record to an operation: pure, without HTTP, files or the SDK.

In the order in which a record passes through them:

- :mod:`.fields` and :mod:`.columns`: what a column is for, by its name
- :mod:`.record` and :mod:`.containers`: read a record, nested or flat, into one
  :class:`~.record.Call`
- :mod:`.settings`: the settings that the mapping of a stream depends on
- :mod:`.identity`, :mod:`.times`, :mod:`.schema_types`, :mod:`.values`,
  :mod:`.event_ids`, :mod:`.relationships`: the parts of an operation
- :mod:`.calls` and :mod:`.events`: one function for each call
- :mod:`.actions`: track events that do something else than record an event
- :mod:`.converter`: the entry point
- :mod:`.notices`: warnings about a stream, each logged once
"""
