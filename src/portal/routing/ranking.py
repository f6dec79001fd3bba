"""Which of the models that can are best for a request: pure, and explained.

What a model must be able to do and hold comes first, then the wishes. Between the rest a strategy decides how good is
good enough, as a share of the best there is; of those that are, the one that answers soonest wins, since a model that
must be loaded first costs half a minute. Where nobody judged the request, the largest model answers.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from operator import itemgetter
from typing import NamedTuple

from portal.core.model import ModelInfo
from portal.core.workspaces import Strategy
from portal.routing.judgement import TASKS

GUIDE = "portal-guide"
"""Portal's own guide: it answers about Portal only, so it is the last choice."""
LAST = frozenset({GUIDE, "all-minilm-l6-v2"})
"""What Portal brings with it, the embedded embedder too: any other is chosen first."""
ENGINE_TASKS = frozenset({"image_generation", "audio", "video_generation"})
"""Tasks whose product a chat model cannot make by itself, only with a tool."""
_ANSWER_ROOM = 512
"""Tokens of a window that are left for the answer."""
_ANSWER = 300
_NEAR = 0.96
"""The share of the best from which a model is as good as the best."""
_PASSABLE = 0.36
"""A quality below which a model is only good enough if there is no better one."""
_LACKS = 0.15
_SPECIAL: Mapping[str, frozenset[str]] = {
    "vision": frozenset({"vision"}),
    **{task: frozenset({task, "tools"}) for task in ENGINE_TASKS},
}
"""What a model should have for a task, one of these."""
_GLOB = re.compile(r"[*?\[]")
_ORDER = itemgetter(slice(4))
_SHOWN = 8
"""So many are told with their facts, the others in a word."""
_ABILITIES = frozenset({"vision", "audio", "tools", "thinking"})
_LOAD_RATE = 0.3e9
"""Bytes a second that come into memory, half of what disks do: what is pushed out must be loaded again."""
_BYTES = 0.6
"""For each weight, in the usual quantisation."""
_USUAL = {"fast": 3e9, "medium": 12e9, "slow": 70e9}
_PER_WEIGHT = 160e9
"""Tokens a second times weights used for each: about what a desktop machine does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a choice depends on."""

    needs: frozenset[str] = frozenset({"chat"})
    task: str = ""
    difficulty: float | None = None
    """0 to 1; None where nobody judged it."""
    tokens: int = 0
    """Of the request, estimated: the model's window must hold them."""
    strategy: Strategy = "auto"
    prefer: Sequence[str] = ()
    """Names or patterns, the dearest first; `@coding` is the best there is at it, `@vision` one that can."""
    whose: Sequence[str] = ()
    """Who wishes for each of them, in words for a person; the workspace where nobody is named."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A model with its place: `score` 0 to 1, and why, in words for a person."""

    model: ModelInfo
    score: float
    why: str


class _Weighed(NamedTuple):
    """Compared by the first four, the higher the better."""

    group: int
    """0 where nobody wished for it, else the higher the dearer."""
    score: float
    loaded: bool
    skill: float
    seconds: float
    model: ModelInfo


def rank(models: Iterable[ModelInfo], wanted: Wanted) -> list[Ranked]:
    """The models that can do it, best first; empty when there is none. Services in the cloud are only among them where
    a preference names them: nothing leaves the machine by a choice of Portal's."""
    able = [model for model in models if wanted.needs <= model.capabilities]
    named = [_named(wish, able) for wish in wanted.prefer if not wish.startswith("@")]
    others = [
        model for model in able if model.id not in LAST and (not model.paid or any(wish(model) for wish in named))
    ]
    if not others and any(model.paid for model in able):
        return []
    if not others:
        return [Ranked(model, 0.0, "nothing else is installed") for model in able[:1]]
    fitting = [model for model in others if _fits(model, wanted.tokens)]
    if not fitting:
        return _too_long(others, wanted)
    return _ordered(fitting, wanted)


def _ordered(models: Sequence[ModelInfo], wanted: Wanted) -> list[Ranked]:
    if not wanted.task and wanted.difficulty is None and wanted.strategy == "auto":
        return _by_size(models, wanted)
    return _judged(models, wanted)


def _fits(model: ModelInfo, tokens: int) -> bool:
    return not tokens or model.window is None or tokens + _ANSWER_ROOM <= model.window


def _too_long(models: Sequence[ModelInfo], wanted: Wanted) -> list[Ranked]:
    """Those that hold the most first, in their usual order."""
    most = max(model.window or 0 for model in models)
    largest = [one.model for one in _ordered([model for model in models if (model.window or 0) == most], wanted)]
    smaller = sorted((model for model in models if model not in largest), key=lambda model: -(model.window or 0))
    words = f"no installed model holds all of this (about {wanted.tokens} tokens), and this one holds the most"
    whys = [words, *("holds as much" for _ in largest[1:]), *("a smaller window" for _ in smaller)]
    ordered = [*largest, *smaller]
    return [
        Ranked(model, 1 - at / len(ordered), f"{why} ({model.window} tokens)")
        for at, (model, why) in enumerate(zip(ordered, whys, strict=True))
    ]


# ------------------------------------------------------------------ wishes


def _wishes(models: Sequence[ModelInfo], prefer: Sequence[str]) -> list[int]:
    """For each model how dear it is: 0 where nobody wished for it, else the higher the dearer."""
    groups = [0] * len(models)
    for group, wish in enumerate(reversed(prefer), 1):  # the dearest last, over what stands there
        grants = _best_at(wish[1:], models) if wish.startswith("@") else _named(wish, models)
        for at, model in enumerate(models):
            if grants(model):
                groups[at] = group
    return groups


def absent(wish: str, models: Sequence[ModelInfo]) -> bool:
    """Whether a wish names one model, and it is not there."""
    return not wish.startswith("@") and not _GLOB.search(wish) and not any(map(_named(wish, models), models))


def _named(wish: str, models: Sequence[ModelInfo]) -> Callable[[ModelInfo], bool]:
    """A name without a tag means any tag of that model, where there is none of just that name."""
    if not _GLOB.search(wish):
        names = {wish, f"{wish}:latest"}
        if ":" not in wish and not any(model.id in names for model in models):
            return lambda model: model.id.partition(":")[0] == wish
        return lambda model: model.id in names
    matches = re.compile(translate(wish)).match
    return lambda model: bool(matches(model.id) or matches(model.id.removesuffix(":latest")))


def _best_at(what: str, models: Sequence[ModelInfo]) -> Callable[[ModelInfo], bool]:
    """Those that have an ability; of those that do a task, the ones as good as any."""
    able = {model.id for model in models if what not in _ABILITIES or what in model.capabilities}
    if what not in TASKS:
        return lambda model: model.id in able
    best = max((_skill(model, what) for model in models if model.id in able), default=0.0)
    return lambda model: model.id in able and _skill(model, what) >= _NEAR * best


# ------------------------------------------------------------------ where nobody judged


def _by_size(models: Sequence[ModelInfo], wanted: Wanted) -> list[Ranked]:
    rows = list(zip(_wishes(models, wanted.prefer), models, strict=True))

    def key(row: tuple[int, ModelInfo]) -> tuple[int, int, bool, int, int]:
        """Of equals the first one listed stays first, since sorting is stable."""
        group, model = row
        return (group, model.parameters or 0, bool(model.loaded), model.size or 0, model.context_window or 0)

    rows.sort(key=key, reverse=True)
    first = _preferred(rows[0][0], wanted) or _largest([model for _, model in rows], wanted)
    return [Ranked(model, 1 - at / len(rows), _facts(model) if at else first) for at, (_, model) in enumerate(rows)]


def _largest(ordered: Sequence[ModelInfo], wanted: Wanted) -> str:
    first, count = ordered[0], len(ordered)
    if count == 1:
        return _only(wanted)
    if not first.parameters:
        return f"the first of {_models(count)}, whose sizes are not known"
    return f"the largest of {_models(count)} {_size(first)}"


# ------------------------------------------------------------------ where it is known what is wanted


def _judged(models: Sequence[ModelInfo], wanted: Wanted) -> list[Ranked]:
    skills = [_skill(model, wanted.task) for model in models]
    best = max(skills)
    if wanted.strategy == "cost":  # what costs nothing is not measured against what does
        best = max((skill for skill, model in zip(skills, models, strict=True) if not model.paid), default=best)
    enough = max(_share(wanted) * best, min(_PASSABLE, _NEAR * best))
    cost = _cheapness if wanted.strategy == "cost" else _seconds
    costs = [cost(model) for model in models]
    least = min(one for one, skill in zip(costs, skills, strict=True) if skill >= enough)
    rows = [
        _Weighed(
            group,
            0.5 + 0.5 * least / max(seconds, least) if skill >= enough else 0.5 * skill / enough,
            bool(model.loaded),
            skill,
            seconds,
            model,
        )
        for group, skill, seconds, model in zip(_wishes(models, wanted.prefer), skills, costs, models, strict=True)
    ]
    rows.sort(key=_ORDER, reverse=True)
    return _told(rows, wanted, enough, best)


def _share(wanted: Wanted) -> float:
    """How good is good enough, as a share of the best there is."""
    hard = 1.0 if wanted.difficulty is None else min(max(wanted.difficulty, 0.0), 1.0)
    if wanted.strategy == "quality":
        return _NEAR
    if wanted.strategy == "speed":
        return 0.5
    if wanted.strategy == "balanced":
        return 0.8
    if wanted.strategy == "cost" and wanted.difficulty is None:
        return 0.7
    return min(_NEAR, 0.6 + 0.4 * hard)


def _skill(model: ModelInfo, task: str) -> float:
    skill = model.skills.get(task, model.quality)
    if task in _SPECIAL and model.capabilities.isdisjoint(_SPECIAL[task]):
        return max(skill - _LACKS, 0.01)
    return skill


def _seconds(model: ModelInfo) -> float:
    """Until a usual answer is there: by what was seen, else by its weights."""
    weights = model.active or model.parameters or _USUAL[model.speed]
    pace = model.pace or min(max(_PER_WEIGHT / weights, 1.0), 150.0)
    size = model.size or (model.parameters or 0) * _BYTES
    loading = size / _LOAD_RATE if model.loaded is False else 0.0
    thinking = 1.5 if "thinking" in model.capabilities else 1.0
    return loading + (model.first_token or 0.5) + thinking * _ANSWER / pace


def _cheapness(model: ModelInfo) -> float:
    """What it costs: money first, then work."""
    return (1e6 if model.paid else 0.0) + (model.active or model.parameters or _USUAL[model.speed]) / 1e9


# ------------------------------------------------------------------ words


def _told(rows: Sequence[_Weighed], wanted: Wanted, enough: float, best: float) -> list[Ranked]:
    made, least = [], 1.0
    for at, one in enumerate(rows):
        least = min(least, 1.0 if one.group else one.score)
        why = _beside(one, rows[0], enough, wanted, at < _SHOWN) if at else _first(rows, wanted, enough, best)
        made.append(Ranked(one.model, least, why))
    return made


def _first(rows: Sequence[_Weighed], wanted: Wanted, enough: float, best: float) -> str:
    first, count = rows[0], len(rows)
    if first.group:
        return _preferred(first.group, wanted)
    if count == 1:
        return _only(wanted)
    task = f" for {wanted.task.replace('_', ' ')}" if wanted.task not in ("", "general") else ""
    able = sum(one.skill >= enough for one in rows)
    if wanted.strategy == "cost":
        among = f" of {able} models" if able > 1 else ""
        return f"the cheapest{among} good enough{task} {_size(first.model)}"
    if first.skill >= best:
        return f"the best of {_models(count)}{task} {_size(first.model)}"
    if enough >= _NEAR * best:
        return f"as good as the best of {_models(count)}{task}, and quicker {_size(first.model)}"
    if wanted.strategy == "speed":
        return f"the quickest of {_models(count)} {_size(first.model)}"
    easy = "an easy request" if wanted.strategy == "auto" and (wanted.difficulty or 0) < 0.4 else "this"
    return f"good enough for {easy}, and the quickest of {able} models that are {_size(first.model)}"


def _beside(one: _Weighed, first: _Weighed, enough: float, wanted: Wanted, shown: bool) -> str:
    if one.group:
        return _preferred(one.group, wanted)
    if one.skill < enough:
        lacks = "less good"
    elif wanted.strategy == "cost":
        lacks = "more work"
    elif one.model.loaded is False and first.loaded:
        lacks = "must be loaded first"
    else:
        lacks = "slower" if one.seconds > first.seconds else "equally quick"
    return f"{lacks}; {_facts(one.model)}" if shown else lacks


def _preferred(group: int, wanted: Wanted) -> str:
    if not group:
        return ""
    wish = wanted.prefer[-group]
    whose = wanted.whose[-group] if wanted.whose else "this workspace"
    if not wish.startswith("@"):
        return f"{whose} prefers it"
    what = wish[1:].replace("_", " ")
    return f"{whose} prefers {f'models with {what}' if wish[1:] in _ABILITIES else f'the best there is for {what}'}"


def _models(count: int) -> str:
    """Those among which the choice was."""
    return f"the {count} models that could answer"


def _only(wanted: Wanted) -> str:
    able = sorted(wanted.needs - {"chat"})
    if not able and not wanted.tokens:
        return "the only one installed"
    return "the only one installed" + (f" with {' and '.join(able)}" if able else "")


def _size(model: ModelInfo) -> str:
    size = f"{readable(model.parameters)} parameters" if model.parameters else "size not known"
    return f"({size})" + (", and in memory already" if model.loaded else "")


def _facts(model: ModelInfo) -> str:
    size = f"{readable(model.parameters)} parameters" if model.parameters else "its size is not known"
    seen = f", {model.pace:.0f} tokens a second seen" if model.pace else ""
    return size + seen + (", and in memory already" if model.loaded else "")


def readable(parameters: int) -> str:
    """A number of weights as people write it: 8B, 1.5B, 137M."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if parameters >= size:
            return f"{parameters / size:.1f}".removesuffix(".0") + unit
    return str(parameters)
