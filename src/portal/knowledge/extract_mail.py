"""E-mails, single or in an mbox, with what is attached to them."""

import email
import email.policy
import re
from collections.abc import Callable
from datetime import UTC
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from portal.core.clock import micros
from portal.errors import BadRequest
from portal.knowledge.extract_draft import Draft, flat
from portal.knowledge.extract_html import read_html
from portal.knowledge.extract_text import decode, read_plain

Inside: TypeAlias = Callable[[bytes, str, str], None]
_TOLD = ("from", "to", "cc", "date")
_FROM = re.compile(rb"^From [^\n]*\r?\n(?=[A-Za-z-]+:)", re.M)
_PARTS = 1000


def read_mail(data: bytes, draft: Draft, inside: Inside) -> None:
    """Subject, sender and date; the text, the HTML one only where there is no plain one; then the attachments."""
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        parts = [part for part in message.walk() if not part.is_multipart()][:_PARTS]
    except (RecursionError, ValueError, LookupError, MessageError) as error:
        raise BadRequest("The mail is damaged, so it was not read.", code="invalid_file") from error
    headers = {name: _header(message, name) for name in ("subject", *_TOLD)}
    draft.title = headers.pop("subject")
    draft.dated = draft.written = _date(headers["date"])
    draft.metadata |= headers
    draft.heading(1, draft.title or "(no subject)")
    draft.text("\n".join(f"{name.capitalize()}: {value}" for name, value in headers.items() if value))
    bodies = [part for part in parts if not part.get_filename() and part.get_content_maintype() == "text"]
    plain = [part for part in bodies if part.get_content_subtype() != "html"]
    for part in plain or bodies:
        _body(part, draft)
    for number, part in enumerate(parts, 1):
        if not any(part is body for body in bodies):
            inside(_payload(part), _name(part, number), part.get_content_type())


def read_mbox(data: bytes, draft: Draft, inside: Inside) -> None:
    """Every mail as a section of its own, with its own date."""
    starts = [match.end() for match in _FROM.finditer(data)]
    ends = [match.start() for match in _FROM.finditer(data)][1:]
    for start, end in zip(starts, [*ends, len(data)], strict=True):
        try:
            read_mail(data[start:end], draft, inside)
        except BadRequest as error:
            draft.warn(error.message)
    draft.title, draft.dated, draft.metadata = "", None, {}


def _header(message: Message, name: str) -> str:
    try:
        return flat(str(make_header(decode_header(message.get(name) or ""))))
    except (ValueError, LookupError, TypeError, MessageError):
        return flat(str(message.get(name) or ""))


def _date(text: str) -> int | None:
    try:
        date = parsedate_to_datetime(text)
        return micros(date if date.tzinfo else date.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _payload(part: Message) -> bytes:
    held = part.get_payload(decode=True)
    return held if isinstance(held, bytes) else b""


def _body(part: Message, draft: Draft) -> None:
    text = decode(_payload(part), part.get_content_charset() or "")
    if part.get_content_subtype() == "html":
        read_html(text, draft)
    else:
        read_plain(text, draft)


def _name(part: Message, number: int) -> str:
    name = part.get_filename() or ""
    return flat(str(make_header(decode_header(name)))) if name else f"attachment {number}"
