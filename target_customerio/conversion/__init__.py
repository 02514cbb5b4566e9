"""From a record to an operation: pure, and knowing nothing of HTTP or of the SDK.

The rooms, in the order in which a record walks through them:

- :mod:`.fields` and :mod:`.columns` - the tables: what a column is for, by its name;
- :mod:`.layout` - reads a record, nested or flat, into one :class:`~.layout.Call`;
- :mod:`.identifiers`, :mod:`.timestamps`, :mod:`.attributes`, :mod:`.event_ids` - the
  parts that every operation is made of;
- :mod:`.calls` - one small file for each of the six calls;
- :mod:`.actions` - what track events with special names do instead;
- :mod:`.converter` - the door.
"""
