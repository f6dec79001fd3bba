"""Whether a webhook's sender is who it should be, and by what name it sent something: the ways of GitHub, of Stripe and
of Standard Webhooks, which many services share."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

import orjson

from portal.core.schedules import Signature
from portal.errors import Unauthenticated

Headers = Mapping[str, str]
"""By name in small letters."""

TOLERANCE = 300
"""Seconds that a signed time may be away from ours."""
_NAMES = (
    "webhook-id",
    "x-github-delivery",
    "x-gitea-delivery",
    "x-gitlab-event-uuid",
    "idempotency-key",
    "x-delivery-id",
)
_LONGEST = 200


def verify(kind: Signature, secret: str, headers: Headers, body: bytes, *, now: int) -> None:
    """`now` is in whole seconds.

    Raises:
        Unauthenticated: it was not signed with this secret, or too long ago.
    """
    match kind:
        case "":
            return
        case "github":
            given = [headers.get("x-hub-signature-256", "").removeprefix("sha256=")]
            wanted = _hex(secret.encode(), body)
        case "stripe":
            parts = [part.strip().partition("=") for part in headers.get("stripe-signature", "").split(",")]
            at = next((value for name, _, value in parts if name == "t"), "")
            given = [value for name, _, value in parts if name == "v1"]
            _check_time(at, now)
            wanted = _hex(secret.encode(), f"{at}.".encode() + body)
        case "standard":
            at = headers.get("webhook-timestamp", "")
            given = [one.removeprefix("v1,") for one in headers.get("webhook-signature", "").split()]
            _check_time(at, now)
            told = f"{headers.get('webhook-id', '')}.{at}.".encode("utf-8", "replace") + body
            wanted = base64.b64encode(hmac.digest(_key(secret), told, hashlib.sha256)).decode()
    known = [hmac.compare_digest(one.encode("utf-8", "replace"), wanted.encode()) for one in given]
    if not any(known):
        raise Unauthenticated("The signature does not fit.", code="bad_signature")


def named(kind: Signature, headers: Headers, body: bytes) -> str | None:
    """The name by which its sender knows what it sent, so that it counts once; None where it says none."""
    if kind == "stripe":
        try:
            event = orjson.loads(body)
        except orjson.JSONDecodeError:
            event = None
        found = event.get("id") if isinstance(event, dict) else None
        if isinstance(found, str) and found:
            return found[:_LONGEST]
    return next((headers[name][:_LONGEST] for name in _NAMES if headers.get(name)), None)


def _hex(secret: bytes, told: bytes) -> str:
    return hmac.digest(secret, told, hashlib.sha256).hex()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    return key or secret.encode()


def _check_time(at: str, now: int) -> None:
    if not (at.isascii() and at.isdigit() and abs(int(at[:12]) - now) <= TOLERANCE):
        raise Unauthenticated("It was signed too long ago, or the clocks do not agree.", code="bad_signature")
