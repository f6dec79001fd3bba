"""Personas of other programs as the fields of a workspace, each with what of it has no place here. Pure.

Known: Open WebUI's exported models (with the model itself in `info` in older ones) and prompts; LibreChat's agents,
presets, and the `modelSpecs` of librechat.yaml.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from portal.core.items import JsonObject
from portal.errors import BadRequest
from portal.settings.workspaces import SamplingSettings

_RENAMED = {
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "maxTokens": "max_tokens",
    "maxContextTokens": "num_ctx",
}
_SAMPLING = frozenset(SamplingSettings.model_fields)
_SILENT = frozenset({"resendFiles", "imageDetail", "stream_response", "endpointType", "order", "default", "stream"})
"""Of no consequence here."""
_VARIABLE = re.compile(r"\{\{[^{}]+\}\}")
_UNKNOWN = (
    "This is no export that Portal knows: models or prompts of Open WebUI (JSON), agents or presets of LibreChat "
    "(JSON), or a librechat.yaml with modelSpecs."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """An entry of an export."""

    title: str
    name: str = ""
    """A name for it here."""
    fields: JsonObject = field(default_factory=dict)
    notes: Sequence[str] = ()
    """What could not be taken over, in words for a person."""
    refused: str = ""
    """Why none of it can be."""


def read_foreign(content: str) -> list[Foreign]:
    """The entries of an export. Raises BadRequest for a file that is none."""
    entries = [_entry(one) for one in _entries(_loaded(content))]
    if not entries or all(entry is None for entry in entries):
        raise BadRequest(_UNKNOWN)
    return [entry or Foreign(title=f"entry {at}", refused=_UNKNOWN) for at, entry in enumerate(entries, 1)]


def _loaded(content: str) -> Any:
    """JSON, else YAML without references, by which a small file could become a huge one."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, Loader=yaml.SafeLoader)):
            raise BadRequest("The file has references (*name), which are not read here: write them out.")
        return yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadRequest(f"The file is neither JSON nor YAML: {str(error).splitlines()[0]}.") from error


def _entries(loaded: Any) -> Iterable[Any]:
    """The list inside whatever stands around it."""
    if isinstance(loaded, Mapping):
        inner = _mapping(loaded.get("modelSpecs")).get("list") or loaded.get("data")
        return inner if isinstance(inner, list) else [loaded]
    return loaded if isinstance(loaded, list) else ()


def _entry(one: Any) -> Foreign | None:
    if not isinstance(one, Mapping):
        return None
    if isinstance(one.get("info"), Mapping):
        one = {**one, **one["info"]}
    if isinstance(one.get("params"), Mapping) or isinstance(one.get("meta"), Mapping):
        return _webui_model(one)
    if "command" in one and "content" in one:
        return _webui_prompt(one)
    if isinstance(one.get("preset"), Mapping):
        return _librechat_preset({"title": one.get("label") or one.get("name"), **one["preset"]}, one)
    if "presetId" in one or "promptPrefix" in one or "endpoint" in one:
        return _librechat_preset(one, {})
    if "instructions" in one and ("model_parameters" in one or "provider" in one):
        return _librechat_agent(one)
    return None


def _webui_model(one: Mapping[str, Any]) -> Foreign:
    params, meta = _mapping(one.get("params")), _mapping(one.get("meta"))
    title = _text(one.get("name")) or _text(one.get("id"))
    notes = _Notes(tools=meta.get("toolIds"), knowledge=meta.get("knowledge"))
    notes.say(meta.get("filterIds") or meta.get("actionIds"), "its filters and actions are Python code of Open WebUI")
    notes.say(meta.get("suggestion_prompts"), "its suggested prompts are left out")
    notes.say(one.get("is_active") is False, "it was switched off there")
    base = _text(one.get("base_model_id"))
    notes.say(not base, "it only changed a model itself; here it is a workspace that prefers that model")
    return Foreign(
        title=title,
        name=_slug(_text(one.get("id")) or title),
        fields={
            **_heading(title, meta.get("description")),
            "instructions": notes.template(_text(params.get("system"))),
            "prefer": _models(base or _text(one.get("id"))),
            "parameters": _parameters(params, notes, known={"system"}),
        },
        notes=notes.said,
    )


def _webui_prompt(one: Mapping[str, Any]) -> Foreign:
    command = _text(one.get("command")).lstrip("/")
    title = _text(one.get("title")) or _text(one.get("name")) or command
    notes = _Notes()
    notes.said.append("it was a text to insert with a slash; here it is the system prompt of a workspace")
    content = notes.template(_text(one.get("content")))
    return Foreign(
        title=title, name=_slug(command), fields={**_heading(title, ""), "instructions": content}, notes=notes.said
    )


def _librechat_preset(preset: Mapping[str, Any], spec: Mapping[str, Any]) -> Foreign:
    words = ("title", "modelLabel", "chatGptLabel", "model")
    title = next((text for text in (_text(preset.get(name)) for name in words) if text), "preset")
    prompt = next((preset[name] for name in ("promptPrefix", "system", "instructions") if preset.get(name)), "")
    pointer = preset.get("agent_id") or preset.get("assistant_id")
    if pointer and not prompt:
        return Foreign(title=title, refused=f"it only points to {pointer!r}, which LibreChat keeps elsewhere")
    notes = _Notes(tools=preset.get("tools") or spec.get("mcpServers"))
    notes.say(preset.get("greeting"), "its greeting is left out")
    notes.say(preset.get("examples"), "its examples are left out")
    notes.say(preset.get("file_ids"), "its files are left out")
    for switch in ("webSearch", "fileSearch", "executeCode", "artifacts", "skills"):
        notes.say(spec.get(switch), f"{switch} is left out")
    notes.endpoint(_text(preset.get("endpoint")))
    sampling = {name: value for name, value in preset.items() if name in _SAMPLING or name in _RENAMED}
    return Foreign(
        title=title,
        name=_slug(_text(spec.get("name")) or title),
        fields={
            **_heading(title, spec.get("description")),
            "instructions": notes.template(_text(prompt)),
            "prefer": _models(_text(preset.get("model"))),
            "parameters": _parameters(sampling, notes),
        },
        notes=notes.said,
    )


def _librechat_agent(one: Mapping[str, Any]) -> Foreign:
    title = _text(one.get("name")) or _text(one.get("id")) or "agent"
    notes = _Notes(tools=one.get("tools"), knowledge=one.get("tool_resources"))
    notes.say(one.get("edges") or one.get("agent_ids"), "the agents it hands over to are left out")
    notes.say(one.get("conversation_starters"), "its conversation starters are left out")
    notes.say(one.get("artifacts"), "artifacts is left out")
    notes.endpoint(_text(one.get("provider")))
    return Foreign(
        title=title,
        name=_slug(title),
        fields={
            **_heading(title, one.get("description")),
            "instructions": notes.template(_text(one.get("instructions"))),
            "prefer": _models(_text(one.get("model"))),
            "parameters": _parameters(_mapping(one.get("model_parameters")), notes, known={"model"}),
        },
        notes=notes.said,
    )


class _Notes:
    """Collects what could not be taken over."""

    def __init__(self, *, tools: Any = None, knowledge: Any = None) -> None:
        self.said: list[str] = []
        if tools:
            named = [each if isinstance(each, str) else _text(_mapping(each).get("name")) for each in _listed(tools)]
            self.said.append(f"its tools are left out: {', '.join(filter(None, named))}")
        self.say(knowledge, "its files and knowledge are left out")

    def say(self, there: Any, words: str) -> None:
        if there:
            self.said.append(words)

    def template(self, text: str) -> str:
        found = sorted(set(_VARIABLE.findall(text)))
        self.say(found, f"variables stay as they stand: {', '.join(found)}")
        return text

    def endpoint(self, name: str) -> None:
        self.say(name, f"its endpoint {name!r} is left out: the model is looked for among all that are installed")


def _parameters(sent: Mapping[Any, Any], notes: _Notes, known: Iterable[str] = ()) -> JsonObject:
    """The sampling parameters that have a place here; the others are told."""
    taken: JsonObject = {}
    left = []
    for name, value in sent.items():
        target = _RENAMED.get(name, name)
        if value in (None, "", [], {}) or name in known or name in _SILENT:
            continue
        if target in _SAMPLING and _fits(target, value):
            taken[target] = value
        else:
            left.append(name)
    notes.say(left, f"parameters left out: {', '.join(sorted(map(str, left)))}")
    return taken


def _fits(name: str, value: Any) -> bool:
    try:
        SamplingSettings.model_validate({name: value})
    except ValueError:
        return False
    return True


def _heading(title: str, description: Any) -> JsonObject:
    return {"title": title[:100], "description": _text(description)[:500]}


def _models(name: str) -> list[str]:
    return [name[:200]] if name else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _slug(text: str) -> str:
    """A name for a workspace; `imported` where nothing of the text can be one."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower())
    return re.sub(r"^[._-]+|[._-]+$", "", plain)[:60].rstrip("._-") or "imported"
