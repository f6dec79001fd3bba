"""An order made exact: which recipe, which of its inputs, and what is wrong with it."""

import random
from collections.abc import Mapping, Sequence

from portal.core.media import KINDS, Kind, Order, Recipe, Value
from portal.errors import BadRequest, MediaMissing, MediaUnavailable, NotFound, PortalError

USUAL = frozenset(
    {
        "negative",
        "width",
        "height",
        "count",
        "seed",
        "steps",
        "guidance",
        "strength",
        "seconds",
        "lyrics",
        "quality",
        "background",
    }
)
"""What anybody may ask for: left out where a recipe has no use for it."""
INSTALL: Mapping[Kind, str] = {
    "image": "Nothing here makes pictures. Install ComfyUI with a picture model, such as FLUX.1 schnell, or name a "
    "server with /v1/images/generations in `[[media.engines]]`.",
    "video": "Nothing here makes videos. Install ComfyUI with a video model, such as Wan 2.2.",
    "music": "Nothing here makes music. Install ComfyUI with a music model, such as ACE-Step, or name a server that "
    "makes it in `[[media.engines]]`.",
}
_LONGEST = 32_000
_MOST = 10
_GRID = 16
"""Models want sides that can be divided by this."""
_QUALITY = {"low": 0.5, "high": 1.5, "hd": 1.5, "xhigh": 2, "max": 2}
"""By how much more steps are taken."""
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "count": (1, _MOST),
    "width": (16, 16_384),
    "height": (16, 16_384),
    "seconds": (0.1, 600),
    "steps": (1, 1000),
    "guidance": (0, 100),
    "strength": (0, 1),
    "seed": (0, 2**63 - 1),
}


def chosen(recipes: Sequence[Recipe], order: Order) -> Recipe:
    """The one that is named, or the first that is ready and takes these pictures.

    Raises:
        BadRequest: none takes just these pictures; says what those there are take.
        NotFound: there is none of this name, with those there are.
        MediaMissing: the one named, or the only one that takes these pictures, is not ready; says what it needs.
        MediaUnavailable: none is ready; says what to install.
    """
    kind = [one for one in recipes if one.kind == order.kind]
    if order.recipe:
        found = next((one for one in kind if order.recipe in (one.name, f"{one.engine}/{one.name}")), None)
        if found is None:
            known = ", ".join(one.name for one in kind) or "none"
            raise NotFound(f"There is no workflow {order.recipe!r} for this; there are: {known}.", param="model")
        if not found.ready:
            raise MediaMissing(f"{found.title} is not ready. {found.needs}", param="model")
        return found
    fitting = [one for one in kind if takes(one, order.pictures)]
    ready = next((one for one in fitting if one.ready), None)
    if ready is not None:
        return ready
    if any(one.ready for one in kind):
        raise _unfitting(kind, fitting, order.pictures)
    needs = next((one.needs for one in fitting), "")
    raise MediaUnavailable(f"{INSTALL[order.kind]} {needs}".strip())


def _unfitting(recipes: Sequence[Recipe], fitting: Sequence[Recipe], pictures: Mapping[str, str]) -> PortalError:
    """What is ready begins with other pictures."""
    wanted = " and ".join(pictures) or "no picture"
    if fitting:
        message = f"Nothing that is ready here begins with {wanted}; {fitting[0].title} would. {fitting[0].needs}"
        return MediaMissing(message, param="model")
    known = ", or ".join(dict.fromkeys(" and ".join(one.pictures) or "no picture" for one in recipes if one.ready))
    return BadRequest(
        f"Nothing here begins with {wanted}; what is ready takes {known}. A workflow of your own can: name its inputs "
        "so.",
        param="image",
        code="unsupported_pictures",
    )


def takes(recipe: Recipe, pictures: Mapping[str, str]) -> bool:
    """Whether a recipe begins with just these pictures."""
    return set(pictures) <= set(recipe.pictures) and set(recipe.needed) <= set(pictures)


def settled(recipe: Recipe, order: Order) -> Sequence[Mapping[str, Value]]:
    """The values of each job. Raises BadRequest for one that is wrong."""
    if order.kind not in KINDS:
        raise BadRequest(f"There is no kind {order.kind!r}.", param="kind")
    if not takes(recipe, order.pictures):
        wanted = ", ".join(recipe.needed) or "none"
        raise BadRequest(f"{recipe.title} takes these pictures: {wanted}.", param="image")
    values = {name: _checked(name, value) for name, value in order.values.items() if value is not None}
    unknown = [name for name in values if name not in recipe.inputs and name not in USUAL and name != "prompt"]
    if unknown:
        known = ", ".join(recipe.inputs) or "none"
        raise BadRequest(f"{recipe.title} has no input {unknown[0]!r}; it has {known}.", param=unknown[0])
    count = int(values.get("count", 1))
    used = {**_steps(recipe, values), **{name: value for name, value in values.items() if name in recipe.inputs}}
    if "seed" in recipe.inputs and "seed" not in used:
        used["seed"] = random.getrandbits(48)
    if count == 1 or "count" in recipe.inputs:
        return [used]
    return [{**used, **({"seed": int(used["seed"]) + at} if "seed" in used else {})} for at in range(count)]


def _steps(recipe: Recipe, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """What a wish for quality comes to where a recipe knows steps only."""
    usual, factor = recipe.inputs.get("steps"), _QUALITY.get(str(values.get("quality", "")), 1)
    if "quality" in recipe.inputs or not isinstance(usual, int) or factor == 1:
        return {}
    return {"steps": max(round(usual * factor), 1)}


def _checked(name: str, value: Value) -> Value:
    if isinstance(value, str):
        if len(value) > _LONGEST:
            raise BadRequest(f"{name} has {len(value):,} characters; at most {_LONGEST:,} are taken.", param=name)
        if name in _BOUNDS:
            raise BadRequest(f"{name} is a number, not {value!r}.", param=name)
        return value
    low, high = _BOUNDS.get(name, (float("-inf"), float("inf")))
    if not low <= value <= high:
        raise BadRequest(f"{name} is {value}; it may be from {low:g} to {high:g}.", param=name)
    if name in ("width", "height"):
        return max(round(value / _GRID), 1) * _GRID
    return value
