"""From a record to an operation: pure, and knowing nothing of HTTP or of the SDK.

The rooms, in the order in which a record walks through them:

- :mod:`.fields` and :mod:`.columns` - the tables: what a column is for, by its name;
- :mod:`.shape`, :mod:`.containers` and :mod:`.layout` - read a record, nested or flat,
  into one :class:`~.layout.Call`; :mod:`.integrations` - whether it is to be sent;
- :mod:`.stream` - what the conversion of a stream's records depends on;
- :mod:`.identifiers`, :mod:`.timestamps`, :mod:`.attributes`, :mod:`.json_attributes`,
  :mod:`.event_ids`, :mod:`.relationships`, :mod:`.happenings` - the parts that
  operations are made of;
- :mod:`.calls` - one small file for each of the six calls;
- :mod:`.actions` - what track events with special names do instead;
- :mod:`.converter` - the door, and :mod:`.by_type` for streams of several calls;
- :mod:`.notices` - what the user is told about a stream, once.
"""
