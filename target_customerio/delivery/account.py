"""First contact: are the credentials right, and is this the workspace's region?"""

from __future__ import annotations

from http import HTTPStatus

from target_customerio.delivery.regions import URLS, wrong_region
from target_customerio.delivery.response import (
    Answer,
    Delivered,
    Fatal,
    Outcome,
    RetryAfter,
    classify,
    decoded,
)
from target_customerio.errors import DeliveryError

PATH = "/api/v1/accounts/region"


def judge(answer: Answer, region: str) -> Outcome:
    """Tell what the answer to the question for the region means.

    Args:
        answer: The answer.
        region: The region that the settings name.

    Returns:
        ``Delivered`` when everything is in order, else what to do about it.
    """
    if answer.status == HTTPStatus.OK:
        return _compared(answer, region)
    outcome = classify(answer, 0)
    if isinstance(outcome, (RetryAfter, Fatal)):
        return outcome
    return Fatal(_not_customerio(f"HTTP {answer.status}"))


def workspace_of(answer: Answer) -> int | None:
    """Tell which workspace the credentials belong to.

    Args:
        answer: The answer to the question for the region.

    Returns:
        The workspace's number, or ``None`` where the answer does not have it.
    """
    content = decoded(answer.body)
    told = content.get("environment_id") if isinstance(content, dict) else None
    return told if type(told) is int else None


def _compared(answer: Answer, region: str) -> Outcome:
    try:
        content = decoded(answer.body)
    except ValueError:
        return Fatal(_not_customerio("no JSON"))
    told = content.get("region") if isinstance(content, dict) else None
    if told == region:
        return Delivered()
    if isinstance(told, str) and told in URLS:
        return Fatal(wrong_region(told))
    return Fatal(_not_customerio("no region"))


def _not_customerio(what: str) -> DeliveryError:
    return DeliveryError(
        f"The server answered the question for the workspace's region with {what},"
        " which Customer.io's Track API does not: check `api_url`."
    )
