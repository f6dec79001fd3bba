"""Known model families: what Portal assumes of a model where its server does not say. The data is `families.toml`."""

import logging
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from portal.core.model import ModelInfo, Speed
from portal.errors import SettingsError
from portal.routing.judgement import TASKS

log = logging.getLogger(__name__)

FILE = "families.toml"
_INSTALL = "install"
_UNITS = {"M": 10**6, "B": 10**9}
_COUNT = re.compile(r"(\d+(?:\.\d+)?)([MB])", re.IGNORECASE)
_ACTIVE = re.compile(r"(?:^|[-_:])a(\d+(?:\.\d+)?)b(?![a-z0-9])", re.IGNORECASE)
_EFFECTIVE = re.compile(r"(?:^|[-_:])e(\d+(?:\.\d+)?)b(?![a-z0-9])", re.IGNORECASE)
_QUANTIZED = re.compile(
    r"(?:^|[-_.:@])((?:iq|tq|q)[1-8](?:_(?:[01]|k|xxs|xs|s|m|l|xl|nl))*|bf16|fp?16|fp?32|fp8|int[48]|awq|gptq|(?:mx|nv)fp4"
    r"|[34568]bit)(?=$|[-_.:@])",
    re.IGNORECASE,
)
_BASE = re.compile(
    r"[-_:](?:base|text|pretrain(?:ed)?|pt|fim)(?=$|[-_:.@])|:(?:\d[^-:]*-)?code(?=$|[-_])", re.IGNORECASE
)
"""In the names of models that go on with a text instead of answering it."""
_LOSS = {"1": 0.12, "2": 0.05, "3": 0.02}
"""Of quality, for so few bits a weight."""
_REFERENCE, _PER_DECADE = 8e9, 0.22
_THINKING = 0.05
_UNKNOWN = 0.42
_FAST, _MEDIUM = 5e9, 20e9


def _weights(value: object) -> object:
    """`8B` or `137M` as a number."""
    found = _COUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a number of weights such as 8B or 137M")
    return round(float(found[1]) * _UNITS[found[2].upper()])


Weights: TypeAlias = Annotated[int, BeforeValidator(_weights)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Ability: TypeAlias = Literal["vision", "audio", "tools", "thinking", "embeddings", "rerank"]
_TASK = Literal[TASKS]  # type: ignore[valid-type]


class Family(BaseModel):
    """One family; the fields are explained in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    chat: bool = True
    can: tuple[Ability, ...] = ()
    context: Annotated[int, Field(gt=0)] | None = None
    parameters: Weights | None = None
    active: Mapping[Weights, Weights] = {}
    quality: Share = _UNKNOWN
    skills: Mapping[_TASK, Share] = {}
    speed: Speed = "medium"
    paid: bool = False

    @cached_property
    def patterns(self) -> list[re.Pattern[str]]:
        """Whole words of a name."""
        return [re.compile(rf"(?<![a-z]){_pattern(words)}(?![a-z])") for words in self.match]

    @property
    def capabilities(self) -> frozenset[str]:
        """Those that models of it have."""
        writes = {"chat", "completion"} if self.chat else {"completion"}
        return frozenset(self.can) | (set() if {"embeddings", "rerank"} & {*self.can} else writes)


def _pattern(words: str) -> str:
    return re.escape(words).replace(r"\*", ".*?").replace(r"\^", "^")


class Families:
    """The table."""

    def __init__(self, families: Mapping[str, Family], install: Mapping[str, str]) -> None:
        self._families = families
        self._found: dict[str, Family | None] = {}
        self.install = install
        """A missing ability or engine -> what to install, in words for a person."""

    def find(self, *names: str | None) -> Family | None:
        """The family of the first of these names that is known."""
        return next((family for name in names if name and (family := self._of(_normal(name)))), None)

    def _of(self, name: str) -> Family | None:
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> Family | None:
        best: tuple[tuple[int, int], Family] | None = None
        for family in self._families.values():
            for pattern in family.patterns:
                if found := pattern.search(name):
                    place = (-found.start(), found.end())
                    best = max(best, (place, family), key=lambda each: each[0]) if best else (place, family)
        return best[1] if best else None

    def describe(self, info: ModelInfo) -> ModelInfo:
        """What the server said, completed by what is known of its family and what the name tells."""
        family = self.find(info.id, info.family)
        able = info.capabilities if info.told else _guessed(info, family)
        if family and "rerank" in family.can:
            able = family.capabilities
        if (family and not family.chat) or _BASE.search(info.id):
            able -= {"chat"}  # no server knows what a model was trained to do
        total = info.parameters or _named(_EFFECTIVE, info.id) or (family.parameters if family else None)
        made = replace(
            info,
            capabilities=able,
            context_window=info.context_window or (family.context if family else None),
            parameters=total,
            active=_named(_ACTIVE, info.id) or _active(family, total),
            quantization=info.quantization or _quantization(info.id),
            paid=info.paid or info.id.endswith(("-cloud", ":cloud")) or (family.paid if family else False),
        )
        return _judged(made, family)


_BY_NAME = frozenset({"embeddings", "speech", "transcription"})


def _guessed(info: ModelInfo, family: Family | None) -> frozenset[str]:
    """What its name tells; a known family tells more, but pictures are believed where the server hinted at them."""
    if family is None or info.capabilities & _BY_NAME:
        return info.capabilities
    return family.capabilities | (info.capabilities - {"chat", "completion"})


def _named(pattern: re.Pattern[str], name: str) -> int | None:
    found = pattern.search(name)
    return round(float(found[1]) * 1e9) if found else None


def _active(family: Family | None, total: int | None) -> int | None:
    """Of the known size nearest to this one, if it is near."""
    if family is None or not family.active or not total:
        return None
    nearest = min(family.active, key=lambda size: abs(size - total))
    return family.active[nearest] if 0.94 < nearest / total < 1.06 else None


def _quantization(name: str) -> str | None:
    found = _QUANTIZED.search(name)
    return found[1].upper() if found else None


def _judged(info: ModelInfo, family: Family | None) -> ModelInfo:
    """With its quality, skills and speed."""
    level = family.quality if family else _UNKNOWN
    total = info.parameters
    active = min(info.active or total or 0, total or 0)
    shift = _PER_DECADE * math.log10(math.sqrt(total * active) / _REFERENCE) if total and active else 0.0
    digit = re.search(r"[1-9]", info.quantization or "")
    shift -= _LOSS.get(digit[0], 0.0) if digit and "16" not in str(info.quantization) else 0.0
    skills = dict(family.skills) if family else {}
    if "thinking" in info.capabilities:
        skills = dict.fromkeys(("math", "reasoning"), level + _THINKING) | skills
    return replace(
        info,
        quality=_bounded(level + shift),
        skills={task: _bounded(skill + shift) for task, skill in skills.items()},
        speed=_speed(active) if active else (family.speed if family else "medium"),
    )


def _bounded(share: float) -> float:
    return round(min(max(share, 0.02), 0.98), 3)


def _speed(active: int) -> Speed:
    return "fast" if active <= _FAST else "medium" if active <= _MEDIUM else "slow"


def _normal(name: str) -> str:
    """Lower case, without folder and file ending, `Qwen3_30B` and `qwen-3-30b` alike."""
    last = name.lower().rsplit("/", 1)[-1].removesuffix(".gguf").replace("_", "-").replace(" ", "-")
    return re.sub(r"(?<=[a-z])-(?=\d)", "", last)


# ------------------------------------------------------------------ reading


def _packaged_text() -> str:
    return (files("portal.routing") / FILE).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def packaged() -> Families:
    """The table that Portal brings."""
    return parse(_packaged_text(), "Portal's own table")


def load(folder: Path) -> Families:
    """The packaged table, and over it the file in the data folder; one that is wrong is refused, with a warning."""
    path = folder / FILE
    try:
        return parse(path.read_text(encoding="utf-8"), str(path), over=tomllib.loads(_packaged_text()))
    except FileNotFoundError:
        return packaged()
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read, Portal's own table is used: %s", path, error)
    except SettingsError as error:
        log.warning("%s Portal's own table is used.", error.message)
    return packaged()


def parse(text: str, where: str, *, over: Mapping[str, Any] | None = None) -> Families:
    """The table of a TOML text, key by key over another one.

    Raises:
        SettingsError: it is wrong; with the line and the reason.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: {error}.") from error
    merged = dict(over or {})
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{where}, line {_line(text, [name])}: {name!r} is no table.")
        merged[name] = {**merged.get(name, {}), **table}
    install = merged.pop(_INSTALL, {})
    for what, words in install.items():
        if not isinstance(words, str):
            raise SettingsError(f"{where}, line {_line(text, [_INSTALL, what])}: {what!r} is no text.")
    return Families({name: _family(name, table, text, where) for name, table in merged.items()}, install)


def _family(name: str, table: dict[str, Any], text: str, where: str) -> Family:
    own = _normal(name)
    try:
        return Family(**{"match": (own,), **table})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        line = _line(text, [name, *map(str, first["loc"][:1])])
        raise SettingsError(f"{where}, line {line}: {name}.{key}: {first['msg']}.") from error


def _line(text: str, keys: Iterable[str]) -> int:
    """Where these keys stand, one below the other."""
    lines, at = text.splitlines(), 0
    for key in keys:
        named = re.compile(rf"(?:^|[\[\s\"'{{,.]){re.escape(key)}[\"']?\s*(?:[=\].]|$)")
        at = next((number for number in range(at, len(lines)) if named.search(lines[number])), at)
    return at + 1
