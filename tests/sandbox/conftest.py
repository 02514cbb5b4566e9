"""A session on a new sandbox, builders for operations, and SQL access to the file."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.workspace import contents_of

from target_customerio.sandbox import SandboxAdapter
from target_customerio.sandbox.activity import ACTIVITY_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

US = "https://track.customer.io"


class CustomerIO:
    """A session on a sandbox, and the workspace file."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.session = requests.Session()
        self.session.auth = ("a-site", "a-key")
        self.adapter = SandboxAdapter(path, **options)
        self.session.mount("https://", self.adapter)
        self.session.mount("http://", self.adapter)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, US + path, **options)

    def batch(self, *operations: Any) -> requests.Response:
        return self.request("POST", "/api/v2/batch", json={"batch": operations})

    def accept(self, *operations: Any) -> None:
        response = self.batch(*operations)
        assert (response.status_code, response.json()) == (200, {})

    def refuse(self, operation: Any) -> list[str]:
        """Send one invalid operation, and return the fields of its errors."""
        response = self.batch(operation)
        assert response.status_code == 207
        errors = response.json()["errors"]
        assert all(
            error.keys() == {"batch_index", "reason", "field", "message"}
            for error in errors
        )
        return [error["field"] for error in errors]

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            return database.execute(query, values).fetchall()

    def contents(self) -> dict[str, Any]:
        return contents_of(self.path)

    def person(self, name: str) -> dict[str, Any]:
        return self.contents()["people"][name]

    def attributes(self, name: str) -> dict[str, Any]:
        return self.person(name)["attributes"]

    def people(self) -> list[str]:
        return sorted(self.contents()["people"])

    def cio_id(self, name: str) -> str:
        query = "SELECT cio_id FROM person_names WHERE person = ?"
        ((cio_id,),) = self.sql(query, name)
        return cio_id

    def activity(self) -> list[tuple[Any, ...]]:
        return self.sql("SELECT name, field FROM activity ORDER BY sequence")

    def not_applied(self) -> list[tuple[Any, ...]]:
        """Return person, reason, field and value of each activity entry, in order."""
        return self.sql(
            "SELECT person, reason, field, value FROM activity ORDER BY sequence"
        )


class Operations:
    """Builders for operations of the Track API."""

    @staticmethod
    def person(action: str, *, also: Any = None, **identifiers: str) -> dict[str, Any]:
        return {
            "type": "person",
            "action": action,
            "identifiers": identifiers,
            **(also or {}),
        }

    @classmethod
    def identify(
        cls, attributes: dict[str, Any] | None = None, *, also: Any = None, **who: str
    ) -> dict[str, Any]:
        more = {"attributes": attributes or {}, **(also or {})}
        return cls.person("identify", also=more, **who)

    @classmethod
    def event(
        cls, name: str = "Ordered", *, also: Any = None, **who: str
    ) -> dict[str, Any]:
        more = {"name": name, "attributes": {}, **(also or {})}
        return cls.person("event", also=more, **who)

    @classmethod
    def device(cls, token: str, *, also: Any = None, **who: str) -> dict[str, Any]:
        device = {"token": token, "platform": "ios", **(also or {})}
        return cls.person("add_device", also={"device": device}, **who)

    @staticmethod
    def merge(primary: dict[str, str], secondary: dict[str, str]) -> dict[str, Any]:
        return {
            "type": "person",
            "action": "merge",
            "primary": primary,
            "secondary": secondary,
        }

    @staticmethod
    def object(
        action: str, object_id: str = "acme", *, also: Any = None
    ) -> dict[str, Any]:
        return {
            "type": "object",
            "action": action,
            "identifiers": {"object_type_id": "1", "object_id": object_id},
            **(also or {}),
        }

    @staticmethod
    def relation(
        identifiers: dict[str, str], attributes: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        relation: dict[str, Any] = {"identifiers": identifiers}
        if attributes is not None:
            relation["relationship_attributes"] = attributes
        return relation


@pytest.fixture
def customerio(tmp_path: Path) -> Iterator[CustomerIO]:
    customerio = CustomerIO(tmp_path / "workspace.db")
    yield customerio
    reasons = {reason for (reason,) in customerio.sql("SELECT reason FROM activity")}
    assert reasons <= ACTIVITY_REASONS.keys()
    customerio.session.close()


@pytest.fixture
def customerio_with_email_updates(tmp_path: Path) -> Iterator[CustomerIO]:
    """A workspace with the setting "Allow updates to email using ID"."""
    customerio = CustomerIO(tmp_path / "workspace.db", email_updates=True)
    yield customerio
    customerio.session.close()


@pytest.fixture
def op() -> type[Operations]:
    return Operations
