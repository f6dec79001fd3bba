"""What ComfyUI 0.3.64 refuses of a workflow, and why: nodes, inputs, types and links against its `/object_info`.

Stricter in one thing: an input that its node does not know is refused, not ignored.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

Nodes: TypeAlias = dict[str, dict[str, Any]]
Graph: TypeAlias = Mapping[str, Mapping[str, Any]]
_CONVERTED = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class Refused(Exception):
    """The workflow as a whole: ComfyUI's `error` object."""

    def __init__(self, kind: str, message: str, details: str = "", errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.error = {"type": kind, "message": message, "details": details, "extra_info": {}}
        self.node_errors = errors or {}


@cache
def _recorded() -> str:
    return (files("portal.testing") / "comfyui_nodes.json").read_text(encoding="utf-8")


def recorded_nodes() -> Nodes:
    """What ComfyUI 0.3.64 says of the nodes that Portal's workflows use, as far as it was recorded."""
    nodes: Nodes = json.loads(_recorded())
    return nodes


def validated(graph: Graph, nodes: Nodes, uploads: Sequence[str] = ()) -> tuple[list[str], dict[str, Any]]:
    """The output nodes that can run, and what is wrong with the others. Raises Refused where none can."""
    for number, node in graph.items():
        kind = node.get("class_type") if isinstance(node, Mapping) else None
        if kind is None:
            raise Refused(
                "invalid_prompt",
                "Cannot execute because a node is missing the class_type property.",
                f"Node ID '#{number}'",
            )
        if kind not in nodes:
            raise Refused(
                "invalid_prompt", f"Cannot execute because node {kind} does not exist.", f"Node ID '#{number}'"
            )
    wanted = [number for number, node in graph.items() if nodes[node["class_type"]]["output_node"]]
    if not wanted:
        raise Refused("prompt_no_outputs", "Prompt has no outputs")
    checked = _Checked(graph, nodes, uploads)
    good = [number for number in wanted if checked.sound(number)]
    if not good:
        raise Refused("prompt_outputs_failed_validation", "Prompt outputs failed validation", errors=checked.errors)
    return good, checked.errors


def options(spec: Sequence[Any]) -> Sequence[Any] | None:
    """What an input may be chosen from; None for one that takes anything of its type."""
    if isinstance(spec[0], list):
        return spec[0]
    if spec[0] == "COMBO":
        found: Sequence[Any] = spec[1].get("options", [])
        return found
    return None


class _Checked:
    def __init__(self, graph: Graph, nodes: Nodes, uploads: Sequence[str]) -> None:
        self.errors: dict[str, Any] = {}
        self._graph, self._nodes, self._uploads = graph, nodes, uploads
        self._seen: dict[str, bool] = {}

    def sound(self, number: str) -> bool:
        """Whether a node and all that it needs are as they should be."""
        if number not in self._seen:
            self._seen[number] = False  # a circle is an error
            found = [one for one in self._faults(number) if one is not None]
            for one in found:
                entry = {"errors": [], "dependent_outputs": [], "class_type": self._graph[number]["class_type"]}
                self.errors.setdefault(number, entry)["errors"].append(one)
            self._seen[number] = not found and all(self.sound(other) for other in self._linked(number))
        return self._seen[number]

    def _linked(self, number: str) -> list[str]:
        values = self._graph[number]["inputs"].values()
        return [value[0] for value in values if isinstance(value, list) and value[0] in self._graph]

    def _faults(self, number: str) -> list[dict[str, Any] | None]:
        node = self._graph[number]
        spec = self._nodes[node["class_type"]]["input"]
        required, optional = spec.get("required", {}), spec.get("optional", {})
        given = node["inputs"]
        missing = [
            _fault("required_input_missing", "Required input is missing", name)
            for name in required
            if name not in given
        ]
        unknown = [
            _fault("unknown_input", "The node has no such input", name)
            for name in given
            if name not in required and name not in optional
        ]
        known = {**optional, **required}
        return [*missing, *unknown, *(self._fault(name, given[name], known[name]) for name in given if name in known)]

    def _fault(self, name: str, value: Any, spec: Sequence[Any]) -> dict[str, Any] | None:
        if isinstance(value, list):
            return self._link(name, value, spec)
        chosen = options(spec)
        if chosen is not None:
            allowed = [*chosen, *(self._uploads if name == "image" else ())]
            shown = f"{name}: '{value}' not in {allowed[:8]}"
            return None if value in allowed else _fault("value_not_in_list", "Value not in list", shown)
        return _literal(name, value, spec)

    def _link(self, name: str, value: list[Any], spec: Sequence[Any]) -> dict[str, Any] | None:
        if len(value) != 2 or not isinstance(value[0], str) or not isinstance(value[1], int):
            return _fault(
                "bad_linked_input", "Bad linked input, must be a length-2 list of [node_id, slot_index]", name
            )
        if value[0] not in self._graph:
            return _fault("exception_during_validation", "Exception when validating node", f"{name}: {value[0]}")
        outputs = self._nodes[self._graph[value[0]]["class_type"]]["output"]
        if not 0 <= value[1] < len(outputs):
            return _fault("exception_during_validation", "Exception when validating node", f"{name}: slot {value[1]}")
        got, wanted = outputs[value[1]], "COMBO" if isinstance(spec[0], list) else spec[0]
        if got == wanted or "*" in (got, wanted) or got in str(wanted).split(","):
            return None
        shown = f"{name}, received_type({got}) mismatch input_type({wanted})"
        return _fault("return_type_mismatch", "Return type mismatch between linked nodes", shown)


def _literal(name: str, value: Any, spec: Sequence[Any]) -> dict[str, Any] | None:
    kind, facts = spec[0], spec[1] if len(spec) > 1 else {}
    if kind not in _CONVERTED:
        return _fault("required_input_missing", "Required input is missing", name)
    try:
        read = _CONVERTED[kind](value)
    except (TypeError, ValueError):
        return _fault("invalid_input_type", f"Failed to convert an input value to a {kind} value", f"{name}, {value}")
    if "min" in facts and read < facts["min"]:
        shown = f"{name}, {read} < {facts['min']}"
        return _fault("value_smaller_than_min", f"Value {read} smaller than min of {facts['min']}", shown)
    if "max" in facts and read > facts["max"]:
        shown = f"{name}, {read} > {facts['max']}"
        return _fault("value_bigger_than_max", f"Value {read} bigger than max of {facts['max']}", shown)
    return None


def _fault(kind: str, message: str, details: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": {}}
