"""HTTP responses of the sandbox: status, body, headers, without a socket."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
import requests

from target_customerio.sandbox import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import CustomerIO, Operations


US = "https://track.customer.io"


def test_no_socket_is_opened(
    customerio: CustomerIO, op: type[Operations], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    customerio.accept(op.identify(id="1"))
    assert customerio.session.get("http://localhost:1/nothing").status_code == 404


def test_the_response_is_a_complete_requests_response(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    response = customerio.batch(op.identify(id="1"))
    assert isinstance(response, requests.Response)
    assert response.ok
    assert response.reason == "OK"
    assert response.url == f"{US}/api/v2/batch"
    assert response.headers["content-type"].startswith("application/json")
    assert response.request.method == "POST"
    assert response.elapsed.total_seconds() >= 0
    assert response.text == "{}"


@pytest.mark.parametrize("auth", [None, ("", ""), ("a-site", ""), ("", "a-key")])
def test_credentials_are_required(
    customerio: CustomerIO, op: type[Operations], auth: Any
) -> None:
    customerio.session.auth = auth
    response = customerio.batch(op.identify(id="1"))
    assert response.status_code == 401
    assert response.json() == {"meta": {"error": "Unauthorized request"}}
    assert customerio.people() == []


@pytest.mark.parametrize("header", ["Bearer abc", "Basic", "Basic !", b"Basic eDp5"])
def test_only_basic_authentication_is_accepted(
    customerio: CustomerIO, header: str | bytes
) -> None:
    customerio.session.auth = None
    headers = {"Authorization": header}
    response = customerio.request("GET", "/api/v1/accounts/region", headers=headers)
    assert response.status_code == (200 if isinstance(header, bytes) else 401)


def test_the_region_endpoint_returns_url_region_and_environment(
    customerio: CustomerIO,
) -> None:
    content = customerio.request("GET", "/api/v1/accounts/region").json()
    assert content.pop("environment_id") > 0
    assert content == {"url": "https://track.customer.io", "region": "us"}


def test_each_workspace_has_an_id_of_its_own(tmp_path: Path) -> None:
    def environment_id(name: str) -> int:
        with requests.Session() as session:
            session.auth = ("a-site", "a-key")
            session.mount("https://", SandboxAdapter(tmp_path / name))
            content = session.get(f"{US}/api/v1/accounts/region").json()
            return int(content["environment_id"])

    first = environment_id("one.db")
    assert environment_id("one.db") == first
    assert environment_id("other.db") != first


def test_a_workspace_can_report_region_eu(tmp_path: Path) -> None:
    with requests.Session() as session:
        session.auth = ("a-site", "a-key")
        session.mount("https://", SandboxAdapter(tmp_path / "w.db", region="eu"))
        answer = session.get(f"{US}/api/v1/accounts/region").json()
    assert (answer["region"], answer["url"]) == ("eu", "https://track-eu.customer.io")


def test_unknown_paths_and_wrong_methods_are_refused(customerio: CustomerIO) -> None:
    assert customerio.request("GET", "/api/v3/batch").status_code == 404
    assert customerio.request("GET", "/api/v2/batch").status_code == 405
    assert customerio.request("POST", "/api/v1/accounts/region").status_code == 405


def test_valid_operations_of_a_batch_are_applied_and_invalid_ones_listed(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    response = customerio.batch(
        op.identify(id="1"), op.event("", id="2"), op.identify(id="3"), {"type": "x"}
    )
    assert response.status_code == 207
    errors = response.json()["errors"]
    assert [error["batch_index"] for error in errors] == [1, 3]
    assert customerio.people() == ["id:1", "id:3"]


def test_an_empty_batch_is_accepted(customerio: CustomerIO) -> None:
    customerio.accept()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"batch": {}}',
        b'{"batch": [NaN]}',
        b"\xff",
        b'{"batch": [' + b"1" * 5000 + b"]}",
        b'{"batch": [1e99999999999999999999]}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_batch_is_refused_as_a_whole(
    customerio: CustomerIO, body: Any
) -> None:
    response = customerio.request("POST", "/api/v2/batch", data=body)
    assert response.status_code == 400
    assert response.json()["errors"][0].keys() == {"reason", "field", "message"}


def test_a_batch_is_limited_to_500000_bytes(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    body = json.dumps({"batch": [op.identify(id="1")]})
    fits, exceeds = body.ljust(500_000), body.ljust(500_001)
    assert customerio.request("POST", "/api/v2/batch", data=exceeds).status_code == 400
    assert customerio.people() == []
    assert customerio.request("POST", "/api/v2/batch", data=fits).status_code == 200
    assert customerio.people() == ["id:1"]


def test_a_body_may_be_text_bytes_or_a_stream(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    forms: list[Callable[[str], Any]] = [
        str,
        str.encode,
        lambda text: iter([text.encode()]),
    ]
    for number, form in enumerate(forms):
        body = json.dumps({"batch": [op.identify(id=str(number))]})
        response = customerio.request("POST", "/api/v2/batch", data=form(body))
        assert response.status_code == 200
    assert customerio.people() == ["id:0", "id:1", "id:2"]


def test_requests_are_logged_without_credentials(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.session.auth = ("a-site", "a-very-secret-key")
    customerio.accept(op.identify(id="1"), op.identify(id="2"))
    customerio.request("GET", "/api/v1/accounts/region")
    customerio.request("GET", "/nowhere?at=all")
    assert customerio.sql(
        "SELECT method, path, status, operations, bytes = length(body) FROM requests"
        " ORDER BY sequence"
    ) == [
        ("POST", "/api/v2/batch", 200, 2, 1),
        ("GET", "/api/v1/accounts/region", 200, 0, 1),
        ("GET", "/nowhere?at=all", 404, 0, 1),
    ]
    header = customerio.session.get(f"{US}/").request.headers["Authorization"]
    files = customerio.path.parent.glob(f"{customerio.path.name}*")
    content = b"".join(file.read_bytes() for file in files)
    assert b"api/v2/batch" in content
    assert header.split()[1].encode() not in content
    assert b"a-very-secret-key" not in content


@pytest.mark.parametrize(
    ("id_type", "ids"),
    [
        (None, ["1", "unknown", 7]),
        ("id", ["1"]),
        ("email", ["ANN@example.com", "1"]),
        ("cio_id", None),
    ],
)
def test_people_are_added_to_a_segment_and_removed(
    customerio: CustomerIO, op: type[Operations], id_type: str | None, ids: Any
) -> None:
    customerio.accept(op.identify({"email": "ann@example.com"}, id="1"))
    body = {"ids": ids or [customerio.cio_id("id:1")]}
    query = {"id_type": id_type} if id_type else {}
    member = [{"segment_id": 7, "person": "id:1"}]
    for change, expected in (("add", member), ("add", member), ("remove", [])):
        path = f"/api/v1/segments/7/{change}_customers"
        response = customerio.request("POST", path, params=query, json=body)
        assert (response.status_code, response.json()) == (200, {})
        assert customerio.contents()["segment_members"] == expected


def test_segment_ids_of_the_wrong_type_are_ignored(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.identify(id="7"))
    path = "/api/v1/segments/7/add_customers"
    body = {"ids": [7, None, ["7"], "ann@example.com"]}
    assert customerio.request("POST", path, json=body).status_code == 200
    assert customerio.contents()["segment_members"] == []


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {}),
        ("", []),
        ("", {"ids": []}),
        ("", {"ids": "1"}),
        ("", {"ids": ["1"] * 1001}),
        ("?id_type=phone", {"ids": ["1"]}),
    ],
)
def test_an_invalid_segment_request_is_refused(
    customerio: CustomerIO, query: str, body: Any
) -> None:
    path = f"/api/v1/segments/7/add_customers{query}"
    response = customerio.request("POST", path, json=body)
    assert response.status_code == 400
    assert response.json()["meta"]["errors"]
