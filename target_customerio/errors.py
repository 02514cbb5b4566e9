"""Everything that can go wrong, each as one line that says what to do.

A :class:`TargetError` ends the run; its message is shown to the user as it stands.
A :class:`RejectedRecord` concerns one record and never ends a run by itself.
No message ever holds a value out of a record, a credential or a header.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from singer_sdk.exceptions import (
    ConfigValidationError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)


class TargetError(Exception):
    """A condition that ends the run, told in one line."""

    exit_code: ClassVar[int] = 1
    """2 is the command line's own."""


class SettingsError(TargetError, ConfigValidationError):
    """A setting has a value that cannot be used."""

    def __init__(self, *errors: str, schema: dict[str, Any] | None = None) -> None:
        """Keep one line for each setting at fault.

        Args:
            errors: One line for each setting at fault.
            schema: The JSON schema of the settings, for the SDK's structured log.
        """
        super().__init__("; ".join(errors), errors=list(errors), schema=schema or {})


class SandboxError(SettingsError):
    """The sandbox's workspace file cannot be used."""


class InputError(TargetError):
    """The input is not what the Singer specification describes."""


class RecordBeforeSchemaError(InputError, RecordsWithoutSchemaException):
    """A RECORD or BATCH came before the SCHEMA of its stream."""


class UnmappedStreamError(InputError):
    """No rule says which call the records of a stream are."""


class DeliveryError(TargetError):
    """Operations could not be delivered to Customer.io."""


class CredentialsError(DeliveryError):
    """Customer.io refuses the site id and API key."""


class RegionError(DeliveryError):
    """The workspace lives in another region."""


class StateError(TargetError):
    """STATE cannot be written, so that what was delivered would be sent again."""


class RejectedFileError(TargetError):
    """The file of rejected records cannot be written."""


class RecordsRejectedError(TargetError):
    """Records were rejected, and ``on_rejected`` says that this fails the run.

    Its exit code tells a scheduler that no retry will help.
    """

    exit_code = 3


class MissingKeyPropertyError(RecordsRejectedError, MissingKeyPropertiesError):
    """The run was to stop at the first rejection, and a key property was missing."""


REASONS: Final = {
    "blank": "an identifier is made of spaces",
    "invalid_date": "a column that the schema types as a date holds none",
    "invalid_json": "`traits`, `properties` or `context` is text, but not of an object",
    "invalid_text": "a text holds half a surrogate pair, which is no Unicode",
    "invalid_timestamp": "the call's own time is none",
    "invalid_type": "a value is of another type than its field may have",
    "missing_key": "a key property of the stream is not in the record",
    "no_identifier": "nobody is named",
    "not_finite": "a number is NaN or infinite",
    "refused": "Customer.io refuses it, and gives no reason of its own",
    "required": "a field without which there is no such call",
    "same_person": "a merge of somebody with themselves",
    "schema": "the record does not fit the stream's schema (`validate_records`)",
    "stream_map": "an expression of `stream_maps` fails",
    "too_deep": "the record is nested too deeply",
    "too_large": "the operation has more than 32,768 bytes",
    "unknown_action": "an action that there is not",
    "unknown_platform": "a device is neither `ios` nor `android`, or it cannot be told",
    "unknown_segment": "Customer.io has no manual segment with this id",
    "wrong_call": "the record's `type` names another call than its stream's, or none",
}
"""What the words mean that rejections here bear; Customer.io has words of its own."""


class RejectedRecord(Exception):  # noqa: N818 - the field's own name for it
    """One record cannot become an operation, or Customer.io refuses it."""

    def __init__(self, reason: str, field: str, message: str) -> None:
        """Say what is wrong without quoting the record.

        Args:
            reason: One of :data:`REASONS`, or a word of Customer.io's.
            field: The field at fault, in dotted form, such as ``traits.email``.
            message: One sentence for people.
        """
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.message = message
