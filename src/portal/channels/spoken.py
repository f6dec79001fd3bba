"""Answers as voice messages, for those who spoke themselves or like to listen."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Literal, TypeAlias

from portal.core.channels import OutgoingFile
from portal.core.items import JsonObject
from portal.core.records import TurnRecord
from portal.core.speech import CONTENT_TYPES, Speaker, Utterance
from portal.errors import PortalError

log = logging.getLogger(__name__)

Replies: TypeAlias = Literal["never", "voice", "always"]
SPOKEN = "portal:spoken"
"""In a part of a question that was spoken: the language that was heard, empty where that is not known."""
_LONGEST = 3000
"""Characters of an answer that are spoken: who wants the rest reads it."""
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"^\s*(?:[-*+>]|#{1,6})\s+|[*_`#|~]+|https?://\S+", re.MULTILINE)
_END = re.compile(r"[.!?…。！？](?=\s|\Z)")


def spoken_part(text: str, language: str) -> JsonObject:
    """A part of a question that was spoken."""
    return {"type": "input_text", "text": text, SPOKEN: language}


class Voice:
    """Speaks answers; where that fails, the text has to do."""

    def __init__(self, *, speaker: Speaker, replies: Replies) -> None:
        self._speaker = speaker
        self._replies = replies

    async def reply(self, turn: TurnRecord, text: str, largest: int) -> OutgoingFile | None:
        """The answer as a voice message of at most so many bytes; None where none is wanted or can be made."""
        language = _heard(turn)
        if self._replies == "never" or (self._replies == "voice" and language is None):
            return None
        said = as_spoken(text)
        if not said:
            return None
        sound = bytearray()
        try:
            async with aclosing(self._speaker.speak(_asked(said, language or ""))) as pieces:
                async for piece in pieces:
                    sound += piece
        except PortalError as error:
            log.warning("an answer is not spoken: %s", error)
            return None
        return _file(bytes(sound)) if 0 < len(sound) <= largest else None


def as_spoken(text: str) -> str:
    """Without code, addresses and marks, and not too long: it ends with a sentence."""
    plain = _LINK.sub(r"\1", _CODE.sub(" ", text))
    plain = _MARKS.sub(" ", plain).strip()
    if len(plain) <= _LONGEST:
        return plain if re.search(r"\w", plain) else ""
    ends = [found.end() for found in _END.finditer(plain[:_LONGEST])]
    return plain[: ends[-1] if ends else _LONGEST]


def _heard(turn: TurnRecord) -> str | None:
    """The language of a question that was spoken; None for one that was written."""
    for stored in turn.items:
        content = stored.item.get("content") if stored.side == "input" else None
        for part in content if isinstance(content, list) else ():
            if SPOKEN in part:
                return str(part[SPOKEN])
    return None


def _asked(text: str, language: str) -> Utterance:
    return Utterance(text=text, language=language, format="opus")


def _file(sound: bytes) -> OutgoingFile:
    async def content() -> AsyncIterator[bytes]:
        yield sound

    return OutgoingFile(
        kind="audio", name="answer.ogg", content_type=CONTENT_TYPES["opus"], size=len(sound), content=content
    )
