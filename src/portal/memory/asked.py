"""What a person asks of memory in plain words: to remember something, or to forget it. Found by patterns, so that it
works with models that have no tools; anything unclear is left to the model."""

import re
from dataclasses import dataclass
from typing import Literal

from portal.core.memories import Kind
from portal.memory import phrases

_LONGEST = 4000
"""Characters of a message that are looked at: what is longer is material, not a wish."""
_POLITE = rf"(?:(?:{phrases.POLITE})[\s,!.]+){{0,3}}+"
_REMEMBER = re.compile(rf"{_POLITE}(?:{'|'.join(phrases.REMEMBER)})[\s,]*+", re.IGNORECASE)
_BEHIND = re.compile(rf"(?:^|[.!,;:\n])[\s¡]*+{_POLITE}(?:{'|'.join(phrases.REMEMBER_BEHIND)})[\s.!]*+$", re.IGNORECASE)
_FORGET = re.compile(rf"{_POLITE}(?:{'|'.join(phrases.FORGET)})[\s,]*+", re.IGNORECASE)
_REQUEST = re.compile(r"\b(?:can|could|would|will|kannst|peux|pouvez|puedes|podr[ií]as)\b", re.IGNORECASE)
"""Of a wish in the form of a question."""
_NO_CLAUSE = re.compile(phrases.NO_CLAUSE, re.IGNORECASE)
_END = re.compile(r"(?P<word>\S*?)[.!?]+(?:\s|$)|\n")
_ABBREVIATED = re.compile(rf"(?:{phrases.ABBREVIATIONS}|\w|\d+)", re.IGNORECASE)
_PLEASE = re.compile(r"[\s,]+(?:please|bitte|stp|svp|s'il te pla[iî]t|por favor)$", re.IGNORECASE)
_VERB_LAST = re.compile(
    r"(?P<who>ich|wir|(?:mein|meine|unser|unsere) [\w-]+)(?P<rest> .+?) "
    r"(?P<verb>[a-zäöüß]*(?:e|en|t|st|bin|ist|sind|will|mag|war|hat|heiße))",
    re.IGNORECASE,
)
_PREFERENCE = re.compile(phrases.PREFERENCE, re.IGNORECASE)
_EPISODE = re.compile(phrases.EPISODE, re.IGNORECASE)
_STATE = re.compile(phrases.STATE, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be remembered or forgotten."""

    action: Literal["remember", "forget"]
    text: str


def wish_of(message: str) -> Wish | None:
    """What the message asks of memory; None where it asks nothing of it, or nothing that patterns can tell."""
    message = message.strip()
    if len(message) > _LONGEST:
        return None
    straight = message.replace("’", "'")
    if found := _REMEMBER.match(straight):
        return _made("remember", straight, found)
    if found := _FORGET.match(straight):
        return _made("forget", straight, found)
    if found := _BEHIND.search(straight):
        told = tidy(straight[: found.start()])
        return Wish("remember", told) if told and not told.endswith("?") else None
    return None


def _made(action: Literal["remember", "forget"], message: str, found: "re.Match[str]") -> Wish | None:
    whole = found[0].rstrip().endswith(":")
    rest = message[found.end() :]
    clause = rest.strip().partition("\n\n")[0] if whole else _sentence(rest)
    german = "dass" in found[0].lower()
    asks = clause.rstrip().endswith("?") and not _REQUEST.search(found[0])
    if not clause.strip() or asks or (_NO_CLAUSE.match(clause) and action == "remember"):
        return None
    told = tidy(_verb_second(clause) if german else clause.rstrip(" ?"))
    return Wish(action, told) if told else None


def _sentence(text: str) -> str:
    """Up to where its first sentence ends."""
    for found in _END.finditer(text):
        if found[0] == "\n" or not _ABBREVIATED.fullmatch(found["word"]) or found.end() == len(text):
            return text[: found.end()]
    return text


def _verb_second(clause: str) -> str:
    """ "ich in Berlin wohne" as "ich wohne in Berlin"."""
    bare = clause.strip().rstrip(".!? ")
    found = _VERB_LAST.fullmatch(bare)
    return f"{found['who']} {found['verb']}{found['rest']}" if found else bare


def tidy(text: str) -> str:
    """A text as it is kept: on its own, with a capital letter, without please."""
    text = _PLEASE.sub("", " ".join(text.split()).strip(" ,;:.!")).strip(" ,;:.!")
    return text[:1].upper() + text[1:]


def kind_of(text: str, *, dated: bool) -> Kind:
    """A preference, something that happened, or else a fact."""
    if _PREFERENCE.search(text):
        return "preference"
    happened = _EPISODE.search(text) or (dated and not _STATE.search(text))
    return "episode" if happened else "fact"
