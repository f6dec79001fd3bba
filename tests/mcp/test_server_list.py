"""The JSON that other programs write, and the file of that form that is the owner's own."""

import json
from pathlib import Path

import pytest

from portal.errors import BadRequest, SettingsError
from portal.mcp.server_list import FILE, of_file, read_common, read_file, write_file

CLAUDE = {
    "mcpServers": {
        "file system!": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", 7]},
        "github": {"command": "docker", "env": {"TOKEN": "${GITHUB_TOKEN}", "N": 1}, "disabled": False},
        "off": {"command": "x", "disabled": True, "autoApprove": ["a"]},
    }
}
CODE = """{
    // what VS Code writes
    "servers": {
        "remote": {"type": "http", "url": "https://example.org/mcp", "headers": {"X-Key": "${input:key}"}},
        "old": {"type": "sse", "url": "https://example.org/events"},
        "guessed": {"url": "https://example.org/sse/"},
        "windsurf": {"serverUrl": "https://example.org/w", "auth": "oauth"},
        "strange": {"type": "carrier-pigeon", "url": "https://example.org/p"}
    },
    "inputs": []
}"""


def test_claude_desktop() -> None:
    found = {entry.name: entry for entry in read_common(json.dumps(CLAUDE))}

    assert found["file-system"].fields == {
        "command": "npx",
        "args": ["-y", "@modelcontextprotocol/server-filesystem", "7"],
    }
    assert found["github"].fields["enabled"] is False
    assert found["github"].fields["env"]["N"] == "1"
    assert found["github"].notes == ("it is off until you put a value in the place of ${GITHUB_TOKEN}",)
    assert found["off"].fields == {"command": "x", "enabled": False}
    assert found["off"].notes == ("autoApprove is left out",)


def test_vs_code_and_others() -> None:
    found = {entry.name: entry for entry in read_common(CODE)}

    assert found["remote"].fields["enabled"] is False
    assert found["old"].fields["transport"] == found["guessed"].fields["transport"] == "sse"
    assert found["windsurf"].fields == {"url": "https://example.org/w", "auth": "oauth"}
    assert found["strange"].notes == ("its type 'carrier-pigeon' is not known",)
    assert [entry.name for entry in read_common('{"mcp": {"servers": {"a": {"command": "b"}}}}')] == ["a"]
    assert [entry.name for entry in read_common('{"a": {"command": "b"}}')] == ["a"]


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({"command": "a", "url": "https://b"}, "either a command or a url"),
        ({"url": "ftp://x"}, "no address of http"),
        ({"kind": "openapi", "command": "x"}, "needs the url"),
        ("odd", "no object"),
    ],
)
def test_what_cannot_be_taken_over_says_why(server: object, why: str) -> None:
    entry = read_common(json.dumps({"mcpServers": {"a": server}}))[0]

    assert entry.fields == {}
    assert why in entry.notes[-1]


def test_names_that_are_none() -> None:
    assert "no name for a tool server" in read_common('{"mcpServers": {"": {"command": "b"}}}')[0].notes[-1]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"a": 1}'])
def test_what_is_no_such_file(content: str) -> None:
    with pytest.raises(BadRequest):
        read_common(content)


def test_the_file_is_private_and_whole(tmp_path: Path) -> None:
    write_file(tmp_path, {"a": {"command": "b", "trusted": True}})

    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert read_file(tmp_path) == {"a": {"command": "b", "trusted": True}}
    assert [(entry.name, entry.fields["trusted"]) for entry in of_file(tmp_path)] == [("a", True)]


@pytest.mark.parametrize("content", ["{", '{"mcpServers": []}', "[]"])
def test_a_damaged_file(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)

    with pytest.raises(SettingsError, match=r"mcp\.json"):
        of_file(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert read_file(tmp_path / "none") == {}
    with pytest.raises(SettingsError, match="cannot be written"):
        write_file(tmp_path / "none", {})
