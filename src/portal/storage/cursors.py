"""Cursors of keyset-paged lists: the last row's key, sealed with the list it belongs to."""

import base64
import binascii
import hashlib
from collections.abc import Sequence

import orjson

from portal.errors import BadRequest


def encode_cursor(belongs_to: Sequence[object], key: Sequence[object]) -> str:
    """A cursor for the rows after `key` in the list that `belongs_to` identifies (its name, owner and filters)."""
    return base64.urlsafe_b64encode(orjson.dumps([_mark(belongs_to), *key])).decode("ascii").rstrip("=")


def decode_cursor(belongs_to: Sequence[object], cursor: str, types: Sequence[type]) -> list[object]:
    """The key inside. Raises BadRequest for anything but a cursor of this very list."""
    refused = BadRequest("This cursor belongs to another list.", code="invalid_cursor", param="cursor")
    try:
        mark: object
        key: list[object]
        mark, *key = orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise refused from error
    if mark != _mark(belongs_to) or [type(part) for part in key] != list(types):
        raise refused
    return key


def _mark(belongs_to: Sequence[object]) -> str:
    return hashlib.sha256(orjson.dumps(list(belongs_to))).hexdigest()[:12]
