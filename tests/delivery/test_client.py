"""The region check, and the HTTP client."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.command import PATIENCE
from support.customerio import Reply

from target_customerio.delivery import Client, build_session
from target_customerio.errors import CredentialsError, DeliveryError, RegionError
from target_customerio.track_api.client import NoResponseError

from .run import MOMENT

if TYPE_CHECKING:
    from pathlib import Path

    from support.customerio import Customerio

    from .conftest import StartRun
    from .run import Run


def account(**content: Any) -> Reply:
    return Reply(body=json.dumps(content).encode())


def test_the_configured_region_is_the_workspaces(
    customerio: Customerio, run: Run
) -> None:
    customerio.reply_next(account(region="us", environment_id=3))
    run.sender.check_account("us")
    (request,) = customerio.requests
    assert (request.method, request.path) == ("GET", "/api/v1/accounts/region")
    assert request.body == b""


def test_a_workspace_in_another_region_names_the_region_to_set(
    customerio: Customerio, run: Run
) -> None:
    customerio.reply_next(account(region="eu"))
    with pytest.raises(RegionError, match="set `region: eu`"):
        run.sender.check_account("us")


def test_a_redirect_to_another_region_names_the_region_to_set(
    customerio: Customerio, run: Run
) -> None:
    headers = {"Location": "https://track.customer.io/api/v1/accounts/region"}
    customerio.reply_next(Reply(302, headers=headers))
    with pytest.raises(RegionError, match="set `region: us`"):
        run.sender.check_account("eu")


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_name_the_settings(
    customerio: Customerio, run: Run, status: int
) -> None:
    customerio.reply_next(Reply(status))
    with pytest.raises(CredentialsError, match="`site_id`") as caught:
        run.sender.check_account("us")
    assert "`api_key`" in str(caught.value)
    assert "`region`" in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>"),
        Reply(200, b""),
        Reply(200, b"[]"),
        Reply(200, b'{"region": 3}'),
        Reply(200, b'{"region": "mars"}'),
        Reply(204, b""),
        Reply(400, b""),
        Reply(404, b""),
    ],
)
def test_a_server_that_is_not_customerio_names_api_url(
    customerio: Customerio, run: Run, reply: Reply
) -> None:
    customerio.reply_next(reply)
    with pytest.raises(DeliveryError, match="check `api_url`"):
        run.sender.check_account("us")


@pytest.mark.usefixtures("short_waits")
def test_the_region_check_is_retried(customerio: Customerio, run: Run) -> None:
    customerio.reply_next(Reply(503), Reply(fault="reset"), account(region="us"))
    run.sender.check_account("us")
    assert len(customerio.requests) == 3


@pytest.mark.usefixtures("short_waits")
def test_a_region_check_that_keeps_failing_ends_the_run(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda _: Reply(503)
    with pytest.raises(DeliveryError, match="Region check failed"):
        start_run(max_retry_seconds=0.2).sender.check_account("us")


def test_requests_have_credentials_and_a_user_agent_but_no_cookies(
    customerio: Customerio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with build_session("site", "schlüssel", 2) as session:
        client = Client(session, customerio.url + "/", PATIENCE)
        headers = {"Set-Cookie": "a=b; Path=/"}
        customerio.reply_next(Reply(headers=headers))
        client.send("POST", "/api/v2/batch", b"{}")
        client.send("GET", "/api/v1/accounts/region", None)
    post, get = customerio.requests
    expected = base64.b64encode("site:schlüssel".encode()).decode()
    for request in (post, get):
        assert request.headers["Authorization"] == f"Basic {expected}"
        assert request.headers["User-Agent"].startswith("target-customerio/")
        assert "Cookie" not in request.headers
    assert post.path == "/api/v2/batch"
    assert post.headers["Content-Type"] == "application/json"
    assert "Content-Type" not in get.headers


def test_a_huge_response_is_not_read_to_its_end(customerio: Customerio) -> None:
    customerio.reply_next(Reply(503, b" " * 50_000_000))
    with build_session("site", "key", 1) as session:
        response = Client(session, customerio.url, PATIENCE).send("GET", "/", None)
    assert response.status == 503
    assert len(response.body) < 5_000_000


@pytest.mark.parametrize(
    ("reply", "seconds", "cause"),
    [
        (Reply(fault="silence"), MOMENT, "timed out"),
        (Reply(body=b" " * 100, fault="trickled_body"), MOMENT, "timed out"),
        (Reply(fault="reset"), PATIENCE, "failed: Connection reset by peer"),
        (Reply(body=b" " * 100, fault="cut"), PATIENCE, "failed: ChunkedEncodingError"),
    ],
)
def test_the_cause_of_a_failure_has_no_url(
    customerio: Customerio, reply: Reply, seconds: float, cause: str
) -> None:
    customerio.reply_next(reply)
    with build_session("site", "key", 1) as session:
        client = Client(session, customerio.url, seconds)
        with pytest.raises(NoResponseError) as caught:
            client.send("GET", "/", None)
    assert str(caught.value) == cause
