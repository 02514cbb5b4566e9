"""Maps a record to an operation: pure, without HTTP, files or the SDK.

From what depends on nothing to the entry point:

- :mod:`.fields` and :mod:`.columns`: classify columns by their names
- :mod:`.schema_types`, :mod:`.times`, :mod:`.values`: attribute values
- :mod:`.call`: a record as a :class:`~.call.Call`, and the settings of its stream
- :mod:`.notices`: warnings about a stream's columns
- :mod:`.record`: reads a nested or flat record into a call
- :mod:`.identity`: the identifiers of people
- :mod:`.people`, :mod:`.groups`, :mod:`.events`: one function for each call
- :mod:`.actions`: track events that are actions, such as deletions
- :mod:`.converter`: the entry point
"""
