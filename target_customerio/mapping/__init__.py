"""Maps a record to an operation: pure, without HTTP, files or the SDK.

In the order of processing:

- :mod:`.fields` and :mod:`.columns`: classify columns by their names
- :mod:`.record` and :mod:`.containers`: read a nested or flat record into a
  :class:`~.record.Call`
- :mod:`.settings`: the settings of a stream's mapping
- :mod:`.identity`, :mod:`.times`, :mod:`.schema_types`, :mod:`.values`,
  :mod:`.event_ids`, :mod:`.relationships`: the parts of an operation
- :mod:`.calls` and :mod:`.events`: one function for each call
- :mod:`.actions`: track events that are actions, such as deletions
- :mod:`.converter`: the entry point
- :mod:`.notices`: warnings about a stream, each issued once
"""
