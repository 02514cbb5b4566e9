"""From a record to an operation: pure, and knowing nothing of HTTP or of the SDK.

The rooms, in the order in which a record walks through them:

- :mod:`.fields` and :mod:`.columns` - the tables: what a column is for, by its name;
- :mod:`.layout` and :mod:`.containers` - read a record, nested or flat, into one
  :class:`~.layout.Call`;
- :mod:`.stream` - what the conversion of a stream's records depends on;
- :mod:`.identifiers`, :mod:`.timestamps`, :mod:`.attributes`, :mod:`.json_attributes`,
  :mod:`.event_ids`, :mod:`.relationships`, :mod:`.happenings` - the parts that
  operations are made of;
- :mod:`.calls` - one small file for each of the six calls;
- :mod:`.actions` - what track events with special names do instead;
- :mod:`.converter` - the door.
"""
