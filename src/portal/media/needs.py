"""What a workflow needs that a ComfyUI does not have: kinds of nodes and model files, each with where to get it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from portal.core.items import JsonObject
from portal.media.comfyui_api import Nodes
from portal.media.workflow import Workflow

_WEIGHTS = (".safetensors", ".sft", ".ckpt", ".gguf", ".pt", ".pth", ".bin", ".onnx")
_SHOWN = 8


def missing(workflow: Workflow, graph: Mapping[str, JsonObject], nodes: Nodes) -> str:
    """In words for a person, with the step that mends it; empty where all is there."""
    unknown = sorted({node["class_type"] for node in graph.values()} - nodes.keys())
    if unknown:
        where = {workflow.nodes[one] for one in unknown if one in workflow.nodes}
        got = f": clone {', '.join(sorted(where))} into ComfyUI's custom_nodes and start it anew" if where else ""
        return f"ComfyUI lacks the nodes {', '.join(unknown)}{got or '. Update ComfyUI, or install what has them.'}"
    told = {model.file: str(model) for model in workflow.models}
    lacking = [
        told.get(file) or f"{file} is not among the files that {kind} knows ({_listed(options)})"
        for kind, _, _, file, options in _weights(graph, nodes)
        if file not in options and _same(file, options) is None
    ]
    return f"A model is missing: {'; '.join(dict.fromkeys(lacking))}" if lacking else ""


def resolved(graph: dict[str, JsonObject], nodes: Nodes) -> dict[str, JsonObject]:
    """The graph with files named as this ComfyUI does, which may keep them in folders."""
    for _, number, name, file, options in _weights(graph, nodes):
        found = file if file in options else _same(file, options)
        graph[number]["inputs"][name] = found or file
    return graph


def _weights(graph: Mapping[str, JsonObject], nodes: Nodes) -> Iterator[tuple[str, str, str, str, Sequence[str]]]:
    """Kind and id of the node, name of the input, the file, and the files there are."""
    for number, node in graph.items():
        spec = nodes.get(node["class_type"], {}).get("input") or {}
        known = {**(spec.get("required") or {}), **(spec.get("optional") or {})}
        for name, value in node["inputs"].items():
            options = choices(known.get(name))
            if options is not None and isinstance(value, str) and value.lower().endswith(_WEIGHTS):
                yield node["class_type"], number, name, value, options


def choices(spec: Any) -> Sequence[str] | None:
    """What an input may be chosen from, in either of the forms in which ComfyUI says it."""
    if not isinstance(spec, list) or not spec:
        return None
    if isinstance(spec[0], list):
        return spec[0]
    if spec[0] == "COMBO" and len(spec) > 1 and isinstance(spec[1], dict):
        options = spec[1].get("options")
        return options if isinstance(options, list) else None
    return None


def _same(file: str, options: Sequence[str]) -> str | None:
    """The same file in a folder."""
    return next((one for one in options if _name(one) == _name(file)), None)


def _name(path: object) -> str:
    return PurePosixPath(str(path).replace("\\", "/")).name


def _listed(options: Sequence[str]) -> str:
    shown = ", ".join(str(one) for one in options[:_SHOWN])
    return shown + (", ..." if len(options) > _SHOWN else "") or "none"
