"""What a model's name tells when its server says nothing."""

import re
from collections.abc import Iterable

from portal.backends.wire import whole

_COUNT = re.compile(r"^\s*(?:(\d{1,4})x)?(\d{1,9}(?:\.\d{1,9})?)\s*([KMBT])\s*$", re.IGNORECASE)
_IN_NAME = re.compile(r"(?:^|[^a-z0-9.])(?:(\d{1,4})x)?(\d{1,9}(?:\.\d{1,9})?)([mb])(?![a-z0-9])", re.IGNORECASE)
_UNITS = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_EMBEDDING = re.compile(r"embed|minilm|(?:^|[/_:-])(?:bge|gte|e5|arctic-embed)(?:[-_:.]|$)", re.IGNORECASE)
_LISTENS = re.compile(
    r"whisper|transcribe|parakeet|canary|moonshine|sense-?voice|(?:^|[^a-z])(?:asr|stt)(?![a-z])", re.I
)
_SPEAKS = re.compile(
    r"kokoro|piper|chatterbox|cosyvoice|fish-?(?:speech|audio)|openaudio|bark|xtts|parler|"
    r"(?:^|[^a-z])tts(?![a-z])",
    re.IGNORECASE,
)
_VISION = re.compile(r"(?:^|[^a-z])(?:vl|vision|llava|pixtral|moondream)(?![a-z])", re.IGNORECASE)


def count_in(text: object) -> int | None:
    """The number of weights in a size such as `8.0B`, `137M` or `8x7B`."""
    found = _COUNT.match(text) if isinstance(text, str) else None
    return _count(found) if found else None


def parameters_in_name(name: str) -> int | None:
    """The number of weights that a name such as `qwen3-8b` or `mixtral:8x7b` gives."""
    found = _IN_NAME.search(name)
    return _count(found) if found else None


def _count(found: re.Match[str]) -> int | None:
    experts, number, unit = found.groups()
    return whole(float(number) * _UNITS[unit.lower()] * int(experts or 1))


def capabilities_in_name(name: str, families: Iterable[str] = ()) -> frozenset[str]:
    """What a model of this name can most likely do."""
    if "rerank" in name.lower():
        return frozenset({"rerank"})
    if _EMBEDDING.search(name) or any("bert" in family for family in families):
        return frozenset({"embeddings"})
    if _LISTENS.search(name):
        return frozenset({"transcription"})
    if _SPEAKS.search(name):
        return frozenset({"speech"})
    sees = _VISION.search(name) or any(family in ("clip", "mllama") for family in families)
    return frozenset({"chat", "completion", "vision"} if sees else {"chat", "completion"})
