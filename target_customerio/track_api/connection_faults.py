"""Why a request got no response, in words without URLs, which may hold passwords."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy

from target_customerio.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name a file of CA certificates, as `requests` reads them."""

PROXIES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""Variables that name a proxy for ``https``, as `requests` reads them."""

TEMPORARY: Final = frozenset({408, 425, 429})
"""Statuses below 500 of a proxy that mean: try again later."""

_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})\b")


def describe(error: BaseException) -> str:
    """Return what failed, in a few words."""
    causes = list(_causes(error))
    if any(isinstance(cause, (requests.Timeout, TimeoutError)) for cause in causes):
        return "timed out"
    found = _certificate_error(causes)
    if found is not None:
        return f"failed: certificate not accepted ({_reason(found)})"
    status = _status_of_proxy(causes)
    if status is not None:
        return f"failed: the proxy answered with HTTP {status}"
    texts = [
        cause.strerror
        for cause in causes
        if isinstance(cause, OSError) and cause.strerror
    ]
    text = texts[-1] if texts else type(error).__name__
    if isinstance(error, requests.exceptions.ProxyError):
        return f"failed at the proxy: {text}"
    return f"failed: {text}"


def permanent_fault(
    error: BaseException, url: str, settings: Mapping[str, Any]
) -> DeliveryError | None:
    """Return the error to end the run with, if a retry cannot help.

    Args:
        error: Why a request could not be sent.
        url: The base URL, which is valid.
        settings: The settings of requests, with ``verify`` and ``proxies``.

    Returns:
        The error, or None if the fault may be temporary.
    """
    causes = list(_causes(error))
    bundle = settings["verify"]
    if isinstance(bundle, str) and not _is_bundle(bundle):
        name = _first_set(BUNDLES, "the environment")
        return DeliveryError(
            f"The file of CA certificates named by {name} is missing or has no "
            f"certificates: correct {name}"
        )
    found = _certificate_error(causes)
    if found is not None:
        return DeliveryError(
            f"The certificate of {urlsplit(url).hostname} is not accepted "
            f"({_reason(found)}): if your network or `api_url` has a certificate "
            "authority of its own, set REQUESTS_CA_BUNDLE to the file of its "
            "certificates; otherwise check the clock and `api_url`"
        )
    if select_proxy(url, settings["proxies"]) is not None:
        return _fault_of_proxy(error, _status_of_proxy(causes))
    return None


def _fault_of_proxy(error: BaseException, status: int | None) -> DeliveryError | None:
    name = _first_set(PROXIES, "the system's settings")
    problem = None
    if status is not None:
        if status < 500 and status not in TEMPORARY:  # noqa: PLR2004 - HTTP's classes
            problem = f"refuses the connection (HTTP {status})"
            if status == 407:  # noqa: PLR2004 - Proxy Authentication Required
                problem += "; put user and password into its URL"
    elif isinstance(error, requests.exceptions.InvalidSchema):
        problem = 'needs SOCKS: install it with pip install "requests[socks]"'
    elif not isinstance(error, (requests.ConnectionError, requests.Timeout)) and (
        isinstance(error, (ValueError, TypeError))  # requests' own, for some URLs
    ):
        problem = "is not a valid URL, such as http://proxy.example.com:8080"
    if problem is None:
        return None
    return DeliveryError(f"The proxy of {name} {problem}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, in any of the ways that libraries wrap them."""
    cause: object = error
    seen: list[object] = []
    while isinstance(cause, BaseException) and not any(cause is each for each in seen):
        yield cause
        seen.append(cause)
        wrapped = [each for each in cause.args if isinstance(each, BaseException)]
        reason = getattr(cause, "reason", None)
        candidates = [reason, *wrapped, cause.__cause__, cause.__context__]
        cause = next(
            (each for each in candidates if isinstance(each, BaseException)), None
        )


def _certificate_error(
    causes: list[BaseException],
) -> ssl.SSLCertVerificationError | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause
    return None


def _reason(error: ssl.SSLCertVerificationError) -> str:
    return str(error.verify_message).rstrip(".")


def _status_of_proxy(causes: list[BaseException]) -> int | None:
    """Return the status with which a proxy has refused a connection, if so.

    Only the text of `http.client`'s error has it.
    """
    for cause in causes:
        found = _TUNNEL.match(str(cause)) if type(cause) is OSError else None
        if found:
            return int(found[1])
    return None


def _is_bundle(path: str) -> bool:
    try:
        if Path(path).is_dir():
            return True
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):  # missing, or not certificates
        return False
    return True


def _first_set(names: tuple[str, ...], otherwise: str) -> str:
    return next((name for name in names if os.environ.get(name)), otherwise)
