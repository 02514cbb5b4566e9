"""What Customer.io has, as far as this program has delivered it; to send only changes.

From the outside in:

- :mod:`.snapshot`: the interface, and which thread calls what
- :mod:`.file`, :mod:`.tables`: the SQLite file, and what is in it
- :mod:`.entry`: what it has of a person or object
- :mod:`.entries`: finds entries, also those that unanswered operations concern
- :mod:`.decisions`: decides what of an operation has to be sent
- :mod:`.rows`: the same for the usual case, in few steps
- :mod:`.people`, :mod:`.objects`: the same by kind of operation
- :mod:`.identities`: whom an operation concerns
- :mod:`.comparison`: which attributes differ
- :mod:`.effects`: what the answer to an operation teaches
- :mod:`.journal`: writes it, and before a request what that makes unknown
- :mod:`.streams`, :mod:`.holds`: which stream holds what
- :mod:`.bookmarks`: whether a stream was read whole
- :mod:`.missing`: what is missing, and what of it may be removed
- :mod:`.removal`: finds it, and names what removes it
"""
