"""Everything that can go wrong, each as one line that says what to do.

A :class:`TargetError` ends the run; its message is shown to the user as it stands.
A :class:`RejectedRecord` concerns one record and never ends a run by itself.
No message ever holds a value out of a record, a credential or a header.
"""

from __future__ import annotations

from typing import Any

from singer_sdk.exceptions import (
    ConfigValidationError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)


class TargetError(Exception):
    """A condition that ends the run, told in one line."""


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
    """Records were rejected, and ``on_rejected`` says that this fails the run."""


class MissingKeyPropertyError(RecordsRejectedError, MissingKeyPropertiesError):
    """The run was to stop at the first rejection, and a key property was missing."""


class RejectedRecord(Exception):  # noqa: N818 - the field's own name for it
    """One record cannot become an operation, or Customer.io refuses it."""

    def __init__(self, reason: str, field: str, message: str) -> None:
        """Say what is wrong without quoting the record.

        Args:
            reason: A short, stable word for the kind of fault, such as ``required``.
            field: The field at fault, in dotted form, such as ``traits.email``.
            message: One sentence for people.
        """
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.message = message
