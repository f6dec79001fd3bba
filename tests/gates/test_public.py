"""What others may build on is listed, and the list is true."""

import ast
import importlib
import inspect
import re
import subprocess
from pathlib import Path

import pytest

import portal.errors


def test_the_drawn_exception_tree_is_the_real_one() -> None:
    drawn = set(re.findall(r"[A-Z][A-Za-z]+(?=  )|^PortalError", portal.errors.__doc__ or "", re.MULTILINE))
    real = {
        name
        for name, value in vars(portal.errors).items()
        if inspect.isclass(value) and issubclass(value, portal.errors.PortalError)
    }

    assert drawn == real


def test_every_error_has_a_status_and_a_type_of_the_api() -> None:
    for name, value in vars(portal.errors).items():
        if inspect.isclass(value) and issubclass(value, portal.errors.PortalError):
            assert 400 <= value.status < 600, name
            assert re.fullmatch(r"[a-z_]+", value.type), name


PUBLIC = {
    "portal": ["__version__"],
    "portal.app": ["Portal", "open_portal"],
    "portal.settings": ["Settings", "load_settings"],
    "portal.core.ports": ["Backend", "Embedding", "Forwarding"],
    "portal.core.model": ["Finished", "ModelInfo", "ModelRequest", "TextDelta", "TokenUsage"],
    "portal.core.tools": ["ToolContext", "ToolFile", "ToolResult", "ToolSpec"],
    "portal.tools.function": ["Functions", "tool"],
    "portal.tools.families": ["Needs"],
    "portal.testing.plain_sandbox": ["PlainSandbox"],
    "portal.testing.tool_calls": ["call", "tool_context"],
    "portal.testing.portal": ["TestPortal", "open_test_portal"],
    "portal.testing.comfyui_server": ["ComfyFault", "ComfyUIServer"],
    "portal.testing.ollama_server": ["OllamaModel", "OllamaServer"],
    "portal.testing.openai_server": ["OpenAIServer"],
    "portal.testing.slack_server": ["SlackFault", "SlackServer"],
    "portal.testing.model_server": ["Answer", "Fault", "ToolCall"],
    "portal.testing.audio_server": ["AudioServer"],
    "portal.testing.scripted_speech": ["ScriptedTranscriber"],
    "portal.backends.scripted": ["ScriptedBackend"],
}
"""What extensions and their tests may import; a name leaves this list only with a line in the changelog."""


@pytest.mark.parametrize(("module", "names"), PUBLIC.items())
def test_public_names_are_there_and_say_what_they_are(module: str, names: list[str]) -> None:
    found = vars(importlib.import_module(module))

    assert [name for name in names if name not in found] == []
    assert [name for name in names if inspect.isclass(found[name]) and not found[name].__doc__] == []


def test_every_module_says_what_it_is(root: Path) -> None:
    silent = [
        str(path.relative_to(root))
        for path in (root / "src").rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) and path.stat().st_size
    ]

    assert silent == []


def test_nothing_in_the_repository_is_a_link_to_elsewhere(root: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    assert not [line for line in listed.stdout.splitlines() if line.startswith("120000")]
