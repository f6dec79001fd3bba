"""Exports of other programs: what is taken over, and what is said to be left out."""

from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.errors import BadRequest
from portal.routing.foreign import Foreign, read_foreign
from portal.settings.workspaces import WorkspaceSettings

FOLDER = Path(__file__).parents[1] / "fixtures/personas"


def entries(name: str) -> list[Foreign]:
    return read_foreign((FOLDER / name).read_text(encoding="utf-8"))


def test_a_model_of_open_webui() -> None:
    grammar, llama, other = entries("openwebui-models.json")
    assert (grammar.name, grammar.title) == ("grammar-helper", "Grammar helper")
    assert grammar.fields == {
        "title": "Grammar helper",
        "description": "Mends grammar and nothing else.",
        "instructions": "You mend grammar for {{USER_NAME}}. Return only the text.",
        "prefer": ["qwen3:8b"],
        "parameters": {"temperature": 0.2, "top_k": 40, "stop": ["END"], "num_ctx": 8192},
    }
    assert list(grammar.notes) == [
        "its tools are left out: dictionary",
        "its files and knowledge are left out",
        "its filters and actions are Python code of Open WebUI",
        "its suggested prompts are left out",
        "it was switched off there",
        "variables stay as they stand: {{USER_NAME}}",
        "parameters left out: function_calling, num_gpu",
    ]
    assert (llama.name, llama.fields["prefer"]) == ("llama3.2-latest", ["llama3.2:latest"])
    assert "parameters left out: temperature" in llama.notes
    assert other.refused


def test_prompts_of_open_webui() -> None:
    explain, short = entries("openwebui-prompts.json")
    assert (explain.name, explain.title) == ("explain", "Explain it simply")
    assert explain.notes[-1] == "variables stay as they stand: {{age}}, {{topic}}"
    assert short.fields == {"title": "Sum up", "description": "", "instructions": "Sum this up in three lines."}


def test_an_agent_of_librechat() -> None:
    (agent,) = entries("librechat-agents.json")
    assert agent.name == "release-notes"
    assert agent.fields["parameters"] == {"temperature": 0.3, "num_ctx": 16000}
    assert agent.fields["prefer"] == ["qwen2.5-coder:14b"]
    said = " ".join(agent.notes)
    assert all(word in said for word in ("execute_code, web_search", "files", "hands over", "starters", "thinking"))


def test_a_preset_of_librechat() -> None:
    (preset,) = entries("librechat-preset.json")
    assert (preset.name, preset.fields["instructions"]) == ("sober-analyst", "Weigh the facts before you conclude.")
    assert preset.fields["parameters"] == {"temperature": 0.4, "top_p": 0.9, "max_tokens": 600}
    assert len(preset.notes) == 5


def test_model_specs_of_librechat() -> None:
    night, pointer = entries("librechat.yaml")
    assert night.fields == {
        "title": "Night shift",
        "description": "Short answers for the control room.",
        "instructions": "Answer in two lines.\nName the procedure.",
        "prefer": ["mistral-small"],
        "parameters": {"temperature": 0.1, "presence_penalty": 0.5},
    }
    assert "webSearch is left out" in night.notes
    assert "agent_ab12" in pointer.refused


@pytest.mark.parametrize(
    "content",
    ["", "[]", "42", "{}", "[1, 2]", "a: [", "modelSpecs: {}", "a: &x [1]\nb: *x", '{"modelSpecs": {"list": 3}}'],
)
def test_what_is_none_is_refused(content: str) -> None:
    with pytest.raises(BadRequest):
        read_foreign(content)


TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["id", "name", "params", "meta", "command", "content", "preset", "endpoint", "instructions", "provider", "info"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from([*NAMES, "promptPrefix", "tools", "model_parameters", "title"]), TREE))
def test_odd_entries_are_taken_or_refused(entry: dict[str, object]) -> None:
    try:
        found = read_foreign(orjson.dumps([entry]).decode())
    except BadRequest:
        return
    for one in found:
        WorkspaceSettings(**one.fields)
