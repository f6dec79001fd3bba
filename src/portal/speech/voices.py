"""Which voice is meant."""

from collections.abc import Sequence
from difflib import get_close_matches

from portal.core.speech import Voice
from portal.errors import BadRequest

OPENAI = frozenset(
    "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split()  # noqa: SIM905
)
"""Voices of OpenAI's own, which clients name because they must name one: here they mean the usual voice."""
_SHOWN = 5
_NAMES = (
    ("ar", "arabic"), ("zh", "chinese"), ("cs", "czech"), ("da", "danish"), ("nl", "dutch"), ("en", "english"),
    ("fi", "finnish"), ("fr", "french"), ("de", "german"), ("el", "greek"), ("he", "hebrew"), ("hi", "hindi"),
    ("hu", "hungarian"), ("id", "indonesian"), ("it", "italian"), ("ja", "japanese"), ("ko", "korean"),
    ("no", "norwegian"), ("pl", "polish"), ("pt", "portuguese"), ("ro", "romanian"), ("ru", "russian"),
    ("es", "spanish"), ("sv", "swedish"), ("tr", "turkish"), ("uk", "ukrainian"), ("vi", "vietnamese"),
)  # fmt: skip
_ALSO = {"zh": "cmn", "no": "nb"}
"""What espeak-ng calls them."""
_CODES = {name: code for code, name in _NAMES}
"""Some engines tell the language that they heard by its English name."""


def chosen(voices: Sequence[Voice], wanted: str, *, usual: str = "", language: str = "") -> str:
    """The id of a voice; what is wanted as it is where none are told, empty for the engine's own choice.

    Raises:
        BadRequest: there is no such voice; the message names the nearest.
    """
    known = {voice.id.lower(): voice.id for voice in voices}
    if wanted and (not known or wanted.lower() in known):
        return known.get(wanted.lower(), wanted)
    named = [voice.id for voice in voices if voice.name.lower() == wanted.lower()]
    if wanted and named:
        return named[0]
    if wanted and wanted.lower() not in OPENAI:
        raise _unknown(voices, wanted)
    if language and (spoken := speaking(voices, language)):
        return spoken
    return known.get(usual.lower(), "" if known else usual) or (voices[0].id if voices else "")


def speaking(voices: Sequence[Voice], language: str) -> str:
    """The first one that speaks a language, or another kind of it; empty where none does."""
    wanted = language.lower().replace("_", "-")
    wanted = _CODES.get(wanted, wanted)
    base = wanted.split("-")[0]
    for fits in dict.fromkeys((wanted, base, _ALSO.get(base, base))):
        for voice in voices:
            has = voice.language.lower().replace("_", "-")
            if has == fits or has.split("-")[0] == fits:
                return voice.id
    return ""


def _unknown(voices: Sequence[Voice], wanted: str) -> BadRequest:
    names = {name.lower(): voice.id for voice in voices for name in (voice.name, voice.id) if name}
    near = [names[name] for name in get_close_matches(wanted.lower(), names, n=_SHOWN, cutoff=0.5)]
    shown = ", ".join(dict.fromkeys(near)) or ", ".join([voice.id for voice in voices][:_SHOWN])
    told = f"Did you mean one of these: {shown}?" if near else f"There are {len(voices)}, such as {shown}."
    return BadRequest(f"There is no voice {wanted!r}. {told}", param="voice", code="voice_not_found")
