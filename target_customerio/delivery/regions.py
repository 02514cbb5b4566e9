"""Customer.io's regions, and what to say when a workspace lives in another one."""

from __future__ import annotations

from types import MappingProxyType
from urllib.parse import urlsplit

from target_customerio.errors import RegionError

URLS = MappingProxyType(
    {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
)
"""The Track API of each region (API description, "Server addresses")."""


def wrong_region(region: str) -> RegionError:
    """Say that the workspace lives in another region than the configured one.

    Args:
        region: Where it lives.

    Returns:
        The error that ends the run.
    """
    return RegionError(
        f"The workspace lives in Customer.io's {region.upper()} region: set"
        f" `region: {region}`."
    )


def redirected(status: int, location: str) -> RegionError:
    """Say what a redirect means, which is never followed.

    Args:
        status: The status of the answer.
        location: The URL that it points to.

    Returns:
        The error that ends the run.
    """
    for region, url in URLS.items():
        if _host(location) == _host(url):
            return wrong_region(region)
    return RegionError(
        f"The server redirects elsewhere (HTTP {status}), as Customer.io does for a"
        " workspace of another region: check `region`, and `api_url` if it is set."
    )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
