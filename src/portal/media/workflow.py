"""A workflow of ComfyUI's: its graph in API format, and names for what can be set in it.

Portal's own are data files beside this one, in the form that `parse` reads; a file that ComfyUI saved in API format
will do as well. There the names are in the titles of nodes: `portal:prompt` names what its one text, number or picture
is, `portal:width=width` names a certain input of the node.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from portal.core.items import JsonObject
from portal.core.media import KINDS, Kind, Value
from portal.errors import MediaRefused

Graph: TypeAlias = Mapping[str, JsonObject]
"""Nodes by id: {class_type, inputs, _meta}."""

_TITLE = "portal:"
_PICTURES = frozenset({"LoadImage", "LoadImageMask"})
_USUAL = ("text", "prompt", "tags", "image", "value", "seed", "noise_seed", "string", "int", "float")
"""Inputs that a title without one means, the first that is there."""
_MAKES: Mapping[str, Kind] = {
    "SaveImage": "image",
    "PreviewImage": "image",
    "SaveVideo": "video",
    "SaveWEBM": "video",
    "SaveAnimatedWEBP": "video",
    "VHS_VideoCombine": "video",
    "SaveAudio": "music",
    "SaveAudioMP3": "music",
    "SaveAudioOpus": "music",
}
_LARGEST = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An input of a node, and how a value becomes what it takes."""

    node: str
    input: str
    scale: float = 1
    """Frames a second, where seconds are given."""
    step: int = 0
    """With it the number is made a multiple of this, plus one: as video models want their frames."""
    text: str = ""
    """A text around the value, with `{}` for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A file that a workflow loads."""

    file: str
    folder: str
    """Below ComfyUI's `models`."""
    url: str
    """Where to get it."""
    gigabytes: float
    original: str = ""
    """Its path there, where it is called otherwise."""

    def __str__(self) -> str:
        """What to do about it where it is missing."""
        found = f"{self.original} of {self.url}" if self.original else self.url
        return f"{self.file} ({self.gigabytes:g} GB, {found}) belongs in ComfyUI's models/{self.folder}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow."""

    name: str
    title: str
    kind: Kind
    graph: Graph
    inputs: Mapping[str, Sequence[Place]]
    models: Sequence[Model] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)
    """Custom nodes that it needs, with where to get them."""
    memory: float = 0
    description: str = ""
    unchecked: str = ""
    """Why nobody could check it against a recorded ComfyUI."""

    @property
    def pictures(self) -> Sequence[str]:
        """Inputs that take a picture."""
        return [name for name, places in self.inputs.items() if self._node(places[0])["class_type"] in _PICTURES]

    @property
    def masks(self) -> Sequence[str]:
        """Those of them whose transparency says what is to be changed."""
        nodes = {name: self._node(places[0]) for name, places in self.inputs.items()}
        return [
            name
            for name, node in nodes.items()
            if node["class_type"] == "LoadImageMask" and node["inputs"].get("channel") == "alpha"
        ]

    @property
    def defaults(self) -> Mapping[str, Value | None]:
        """What stands in the graph for each input, pictures apart."""
        pictures = set(self.pictures)
        return {name: self._default(places[0]) for name, places in self.inputs.items() if name not in pictures}

    def _default(self, place: Place) -> Value | None:
        value: Value = self._node(place)["inputs"][place.input]
        if isinstance(value, str) or (place.scale == 1 and not place.step):
            return None if place.text else value
        return round((value - (1 if place.step else 0)) / place.scale, 2)

    def _node(self, place: Place) -> JsonObject:
        return self.graph[place.node]

    def filled(self, values: Mapping[str, Value]) -> dict[str, JsonObject]:
        """The graph with these in their places; texts and pictures as they are, numbers as the node has them.

        Raises:
            MediaRefused: there is no such input, or a value is of another type.
        """
        graph: dict[str, JsonObject] = json.loads(json.dumps(self.graph))
        for name, value in values.items():
            if name not in self.inputs:
                known = ", ".join(self.inputs)
                raise MediaRefused(f"The workflow {self.name!r} has no input {name!r}; it has {known}.", param=name)
            for place in self.inputs[name]:
                node = graph[place.node]
                node["inputs"][place.input] = _fitted(name, value, place, node["inputs"][place.input])
        return graph


def parse(name: str, raw: Any) -> Workflow:
    """A workflow of a file's content. Raises MediaRefused for what is none."""
    if not isinstance(raw, dict):
        raise MediaRefused(f"The workflow {name!r} is no JSON object.")
    if "nodes" in raw and "links" in raw:
        raise MediaRefused(
            f"The workflow {name!r} was saved for the editor: in ComfyUI choose Workflow, Export (API) instead."
        )
    try:
        return _described(name, raw) if _is_graph(raw.get("graph")) else _titled(name, raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MediaRefused(f"The workflow {name!r} is not in ComfyUI's API format: {error!r}.") from error


def load(path: Path) -> Workflow:
    """A workflow of a file; its name is the file's. Raises MediaRefused, naming what is wrong."""
    try:
        if path.stat().st_size > _LARGEST:
            raise MediaRefused(f"The workflow {path.stem!r} is larger than {_LARGEST:,} bytes.")
        return parse(path.stem, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise MediaRefused(f"The workflow {path.stem!r} cannot be read: {error}") from error


def _described(name: str, raw: JsonObject) -> Workflow:
    graph: Graph = raw["graph"]
    inputs = {
        key: [Place(**one) for one in (places if isinstance(places, list) else [places])]
        for key, places in raw["inputs"].items()
    }
    for place in (one for places in inputs.values() for one in places):
        graph[place.node]["inputs"][place.input]  # what is named must be there
    kind = raw.get("kind") or _kind(graph)
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}")
    return Workflow(
        name=name,
        title=raw.get("title", name),
        kind=kind,
        graph=graph,
        inputs=inputs,
        models=[Model(**one) for one in raw.get("models", ())],
        nodes=raw.get("nodes", {}),
        memory=raw.get("memory", 0),
        description=raw.get("description", ""),
        unchecked=raw.get("unchecked", ""),
    )


def _titled(name: str, graph: JsonObject) -> Workflow:
    """Of ComfyUI's own file: the names are in the titles."""
    if not _is_graph(graph):
        raise ValueError("no nodes with class_type and inputs")
    inputs: dict[str, list[Place]] = {}
    for key, place in _named(graph):
        inputs.setdefault(key, []).append(place)
    return Workflow(name=name, title=name, kind=_kind(graph), graph=graph, inputs=inputs)


def _named(graph: Graph) -> Iterator[tuple[str, Place]]:
    for number, node in graph.items():
        title = str(node.get("_meta", {}).get("title", "")).strip()
        if title.lower().startswith(_TITLE):
            named, _, which = title[len(_TITLE) :].partition("=")
            taken = which.strip() or _usual(node)
            node["inputs"][taken]
            yield named.strip().lower(), Place(node=number, input=taken)


def _usual(node: JsonObject) -> str:
    free = [name for name, value in node["inputs"].items() if not isinstance(value, list)]
    known = next((name for name in _USUAL if name in free), None)
    if known is None and len(free) != 1:
        raise ValueError(f"the title {node['_meta']['title']!r} has to say which input it means, such as =width")
    return known or free[0]


def _is_graph(raw: object) -> bool:
    return (
        isinstance(raw, dict)
        and bool(raw)
        and all(
            isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
            for node in raw.values()
        )
    )


def _kind(graph: Graph) -> Kind:
    kinds = [_MAKES[node["class_type"]] for node in graph.values() if node["class_type"] in _MAKES]
    if not kinds:
        raise ValueError("nothing in it saves a picture, a video or sound")
    return next((kind for kind in ("video", "music") if kind in kinds), "image")


def _fitted(name: str, value: Value, place: Place, present: Any) -> Value:
    if isinstance(present, str):
        return place.text.format(value) if place.text else str(value)
    if isinstance(present, bool):
        if not isinstance(value, bool):
            raise MediaRefused(f"{name} is true or false, not {value!r}.", param=name)
        return value
    try:
        number = float(value) * place.scale if place.scale != 1 or isinstance(present, float) else int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise MediaRefused(f"{name} is a number, not {value!r}.", param=name) from error
    if place.step:
        return max(round(number / place.step), 0) * place.step + 1
    return number if isinstance(present, float) else round(number)
