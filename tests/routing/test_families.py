"""What Portal assumes of a model where its server does not say, and how a person corrects it."""

import logging
from pathlib import Path
from typing import Any

import pytest

from portal.backends.naming import capabilities_in_name, parameters_in_name
from portal.core.model import ModelInfo
from portal.errors import SettingsError
from portal.routing.families import load, packaged, parse

CHAT = {"chat", "completion"}


def guessed(name: str, **more: Any) -> ModelInfo:
    """As a server lists it that tells nothing but the name."""
    return ModelInfo(
        id=name,
        backend="b",
        capabilities=capabilities_in_name(name),
        parameters=parameters_in_name(name),
        told=False,
        **more,
    )


@pytest.mark.parametrize(
    ("name", "able", "window"),
    [
        ("qwen3:8b", {"tools", "thinking"}, 40960),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct-GGUF", {"tools"}, 262144),
        ("qwen2.5vl:7b", {"vision"}, 128000),
        ("Qwen2.5-VL-7B-Instruct", {"vision"}, 128000),
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", {"tools"}, 131072),
        ("hf.co/someone/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", {"tools"}, 131072),
        ("llama3.2-vision:11b", {"vision"}, 131072),
        ("Llama-3.2-11B-Vision-Instruct", {"vision"}, 131072),
        ("hermes-3-llama-3.1-8b", {"tools"}, 131072),
        ("gemma-3-4b-it", {"vision"}, 131072),
        ("gemma-2b", set(), 8192),
        ("gpt-oss:20b", {"tools", "thinking"}, 131072),
        ("mistral-small3.2:24b", {"vision", "tools"}, 131072),
        ("phi-4-mini-instruct", {"tools"}, 131072),
        ("DeepSeek-R1-Distill-Qwen-7B", {"thinking"}, 131072),
        ("claude-3-5-haiku-latest", {"vision", "tools"}, 200000),
        ("gpt-4o-mini", {"vision", "tools"}, 128000),
        ("o3", {"vision", "tools", "thinking"}, 200000),
        ("moondream:latest", {"vision"}, 2048),
        ("never-heard-of:7b", set(), None),
        ("marco-o1:7b", set(), None),
    ],
)
def test_families_are_known_by_the_names_people_use(name: str, able: set[str], window: int | None) -> None:
    info = packaged().describe(guessed(name))
    assert info.capabilities == CHAT | able
    assert info.context_window == window


@pytest.mark.parametrize(
    ("name", "able"),
    [
        ("nomic-embed-text", {"embeddings"}),
        ("text-embedding-nomic-embed-text-v1.5", {"embeddings"}),
        ("snowflake-arctic-embed2", {"embeddings"}),
        ("qwen3-embedding:0.6b", {"embeddings"}),
        ("starcoder2:3b", {"completion"}),
        ("bge-reranker-v2-m3", {"rerank"}),
        ("Qwen3-Reranker-0.6B", {"rerank"}),
        ("jina-reranker-v2-base-multilingual", {"rerank"}),
        ("llama-guard3:8b", {"completion"}),
        ("qwen2.5-coder:7b-base", {"completion", "tools"}),
        ("codellama:7b-code", {"completion"}),
        ("gemma-3-4b-pt", {"completion", "vision"}),
    ],
)
def test_what_is_not_made_to_chat_does_not(name: str, able: set[str]) -> None:
    assert packaged().describe(guessed(name)).capabilities == able


def test_what_the_server_says_is_better_than_the_table() -> None:
    told = ModelInfo(
        id="qwen3:8b",
        backend="b",
        capabilities=frozenset(CHAT),
        context_window=4096,
        parameters=8_190_000_000,
        quantization="Q8_0",
    )
    info = packaged().describe(told)
    assert (info.capabilities, info.context_window) == (CHAT, 4096)
    assert (info.parameters, info.quantization) == (8_190_000_000, "Q8_0")


def test_pictures_are_believed_where_the_server_hints_at_them() -> None:
    hinted = ModelInfo(id="qwen3", backend="b", capabilities=frozenset({"chat", "vision"}), told=False)
    assert "vision" in packaged().describe(hinted).capabilities


def test_a_family_the_server_names_helps_where_the_name_does_not() -> None:
    assert packaged().describe(guessed("my-own", family="qwen3")).context_window == 40960


@pytest.mark.parametrize(
    ("name", "parameters", "active", "quantization", "speed"),
    [
        ("qwen3:30b", 30, 3.3, None, "fast"),
        ("qwen3:32b", 32, None, None, "slow"),
        ("Qwen3-235B-A22B-Q3_K_S.gguf", 235, 22, "Q3_K_S", "slow"),
        ("mixtral:8x7b-instruct-v0.1-q4_K_M", 56, 13, "Q4_K_M", "medium"),
        ("gemma3n:e4b", 4, None, None, "fast"),
        ("Llama-3.1-8B.Q5_K_S.gguf", 8, None, "Q5_K_S", "medium"),
        ("qwen2.5-7b-instruct@iq4_xs", 7, None, "IQ4_XS", "medium"),
        ("mlx-community/Qwen3-4B-4bit", 4, None, "4BIT", "fast"),
        ("gpt-oss", 20, 3.6, None, "fast"),
        ("claude-opus-4-1", None, None, None, "slow"),
    ],
)
def test_sizes_in_names(
    name: str, parameters: float | None, active: float | None, quantization: str | None, speed: str
) -> None:
    info = packaged().describe(guessed(name))
    assert info.parameters == (parameters and int(parameters * 1e9))
    assert info.active == (active and int(active * 1e9))
    assert (info.quantization, info.speed) == (quantization, speed)


def quality(name: str, task: str = "") -> float:
    info = packaged().describe(guessed(name))
    return info.skills.get(task, info.quality)


@pytest.mark.parametrize(
    ("better", "worse", "task"),
    [
        ("qwen3:32b", "qwen3:8b", ""),
        ("qwen3:8b", "qwen3:0.6b", ""),
        ("qwen3:8b", "qwen2.5:7b", ""),
        ("llama3.3:70b", "llama3.1:8b", ""),
        ("qwen2.5-coder:7b", "qwen2.5:7b", "coding"),
        ("qwen2.5:7b", "qwen2.5-coder:7b", "creative"),
        ("deepseek-r1:8b", "llama3.1:8b", "math"),
        ("gemma3:12b", "phi4:14b", "creative"),
        ("llama3.1:8b-instruct-q4_K_M", "llama3.1:8b-instruct-q2_K", ""),
        ("gpt-5", "qwen3:32b", ""),
        ("gpt-4o-mini", "gpt-3.5-turbo", ""),
        ("never-heard-of:70b", "never-heard-of:7b", ""),
    ],
)
def test_what_is_generally_found_better_stands_higher(better: str, worse: str, task: str) -> None:
    assert quality(better, task) > quality(worse, task)


def test_services_cost_money() -> None:
    names = ("gpt-4o", "qwen3-coder:480b-cloud", "qwen3:8b")
    assert [packaged().describe(guessed(name)).paid for name in names] == [True, True, False]


def test_a_file_in_the_data_folder_is_merged_over(tmp_path: Path) -> None:
    (tmp_path / "families.toml").write_text(
        '[qwen3]\ncontext = 8192\n\n[mine]\nmatch = ["my-*"]\nparameters = "137M"\nskills = { coding = 0.9 }\n\n'
        '[install]\nvision = "ask the administrator"\n',
        encoding="utf-8",
    )
    families = load(tmp_path)
    qwen = families.describe(guessed("qwen3:8b"))
    assert (qwen.context_window, "thinking" in qwen.capabilities) == (8192, True)
    assert families.describe(guessed("my-model")).parameters == 137_000_000
    assert families.install["vision"] == "ask the administrator"
    assert families.install["embeddings"] == packaged().install["embeddings"]


def test_without_such_a_file_the_packaged_table_is_used(tmp_path: Path) -> None:
    assert load(tmp_path) is packaged()


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("[qwen3]\ncontext = = 3", 2, "Invalid value"),
        ("\n[qwen3]\nchat = true\ncontext = -3", 4, "qwen3.context"),
        ("[mine]\nquality = 2", 2, "mine.quality"),
        ('mine = { match = ["mine"], parameters = "big" }', 1, "8B or 137M"),
        ("[mine]\nskills = { cooking = 0.5 }", 2, "mine.skills.cooking"),
        ('[mine]\ncan = ["fly"]', 2, "mine.can.0"),
        ("[mine]\nspeeed = 1", 2, "mine.speeed"),
        ("\nmine = 7", 2, "no table"),
        ("[install]\nvision = 7", 2, "no text"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_reason(
    text: str, line: int, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, "families.toml")
    assert f"line {line}" in caught.value.message
    assert reason in caught.value.message
    (tmp_path / "families.toml").write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path) is packaged()
    assert f"line {line}" in caplog.text


def test_a_file_that_cannot_be_read_is_refused_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "families.toml").write_bytes(b"\xff\xfe")
    assert load(tmp_path) is packaged()
    assert "cannot be read" in caplog.text
