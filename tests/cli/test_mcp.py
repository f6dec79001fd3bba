"""portal mcp: tool servers from the command line, with and without a running Portal."""

import json
import sys
from pathlib import Path

from tests.cli.conftest import Installation

SERVERS = str(Path(__file__).parents[1] / "mcp" / "servers.py")


def test_adding_before_portal_runs_and_while_it_does(installation: Installation) -> None:
    added = installation.run(
        "mcp", "add", "one", "--env", "MARKS=/tmp", "--allow", "ad*", "--", sys.executable, SERVERS, "plain"
    )
    twice = installation.run("mcp", "add", "one", "x")
    file = installation.data_dir / "mcp.json"
    kept = json.loads(file.read_text())["mcpServers"]["one"]
    installation.up()
    tested = installation.run("mcp", "test", "one")
    more = installation.run("mcp", "add", "far", "--url", "http://127.0.0.1:1/mcp", "--header", "X-Key: k", "--oauth")
    listed = installation.run("mcp", "list")
    removed = installation.run("mcp", "remove", "far")
    gone = installation.run("mcp", "remove", "far")

    assert added.returncode == 0, added.stderr
    assert kept == {
        "command": sys.executable,
        "args": [SERVERS, "plain"],
        "env": {"MARKS": "/tmp"},
        "allow": ["ad*"],
    }
    assert file.stat().st_mode & 0o777 == 0o600
    assert "already" in twice.stderr
    assert "one__add\tnetwork\tAdd two numbers." in tested.stdout
    assert "one__echo" not in tested.stdout
    assert more.returncode == 0, more.stderr
    assert "one\tup\t1 tool\tfile" in listed.stdout
    assert "far\tasleep" in listed.stdout
    assert removed.returncode == 0
    assert (gone.returncode, "no tool server" in gone.stderr) == (1, True)


def test_taking_over_another_programs_file(installation: Installation) -> None:
    other = installation.home / "claude_desktop_config.json"
    servers = {"time": {"command": "uvx", "args": ["mcp-server-time"]}, "bad": {"command": ""}}
    other.write_text(json.dumps({"mcpServers": servers}))

    dry = installation.run("mcp", "import", str(other), "--dry-run")
    before = (installation.data_dir / "mcp.json").exists()
    taken = installation.run("mcp", "import", str(other))
    again = installation.run("mcp", "import", str(other))
    removed = installation.run("mcp", "remove", "time")

    assert "time\ttaken" in dry.stdout
    assert not before
    assert "bad\tleft out" in taken.stdout
    assert (again.returncode, "Nothing could be taken over" in again.stderr) == (1, True)
    assert removed.returncode == 0
    assert json.loads((installation.data_dir / "mcp.json").read_text()) == {"mcpServers": {}}


def test_what_is_refused(installation: Installation) -> None:
    for words, why in (
        (("add", "x"), "Portal itself ships documents, execution, filesystem, git, speech, time, transcription, web"),
        (("add", "x", "--shipped", "time", "--url", "http://127.0.0.1:1"), "either a command or a url"),
        (("add", "a b", "x"), "would be its name"),
        (("add", "x", "y", "--env", "novalue"), "has no '='"),
        (("remove", "x"), "no Portal is running"),
        (("list",), "No Portal is running"),
    ):
        refused = installation.run("mcp", *words)
        assert (refused.returncode, why in refused.stderr) == (1, True), refused.stderr
    assert not (installation.data_dir / "mcp.json").exists()
