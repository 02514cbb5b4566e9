"""A snapshot: what Customer.io was sent last, so that only changes are sent.

Words that these modules use in one sense each:

- An *entry* is what the snapshot knows of one person, object, relationship or segment
  membership.
- An *effect* is what one operation does to one entry; a *ticket* has all effects of an
  operation. It goes with the operation to Customer.io and comes back with the answer.
- An *intent* is what a request is about to change, written before it is sent.
- A stream *holds* the entries that its records name. What it held before its last run
  and does not hold now is *missing*.
- To *make unknown* is to drop the hashes of attributes, so that they are sent again.

From the outside in:

- :mod:`.snapshot`: the interface, and which thread calls what
- :mod:`.file`, :mod:`.tables`: the SQLite file and its tables
- :mod:`.entry`: an entry, and how it is stored
- :mod:`.hashing`: hashes of rows, values and identifiers
- :mod:`.entries`: finds entries, including those that unanswered operations change
- :mod:`.decisions`: decides which part of an operation has to be sent
- :mod:`.rows`: a fast path for the usual operation, an identify with attributes alone
- :mod:`.people`, :mod:`.objects`: decide on operations on people and on objects
- :mod:`.identities`: which people an operation concerns
- :mod:`.comparison`: which attributes differ from the known ones
- :mod:`.effects`: effects and tickets, the numbers of attribute names
- :mod:`.journal`: writes intents before requests, and effects after answers
- :mod:`.streams`, :mod:`.holds`: streams, how their runs ended, and what they hold
- :mod:`.bookmarks`: whether a stream was read as a full table
- :mod:`.missing`: what is missing, and how much of it may be removed
- :mod:`.removal`: finds the missing entries and the operations that remove them
"""
