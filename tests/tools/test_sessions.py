"""Sessions of running code: folders that keep what programs leave in them."""

from pathlib import Path

import pytest
from tests.tools.loopback import LoopbackFetcher, call, conversation, refusal

from portal.core.tools import ToolContext
from portal.security.sandbox.choice import NoSandbox
from portal.settings import Settings
from portal.testing.plain_sandbox import PlainSandbox
from portal.tools.families import Needs
from portal.tools.sessions import Sessions, create


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


def sessions(tmp_path: Path, sandbox: object = None) -> Sessions:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data")
    needs = Needs(
        settings=settings, sandbox=sandbox or PlainSandbox(unsafe=True), fetcher=LoopbackFetcher(), files=None
    )  # type: ignore[arg-type]
    return create(needs)


async def test_a_session_keeps_its_files_for_itself(tmp_path: Path, talk: ToolContext) -> None:
    tools = sessions(tmp_path)
    none = await call(tools, "list_sessions", talk)
    empty = await call(tools, "run_bash", talk, code="true", session="empty")
    await call(tools, "run_bash", talk, code="mkdir sub .hidden; echo 1 > sub/a; echo 2 > .hidden/b; echo 3 > c")
    listed = await call(tools, "list_sessions", talk)
    files = await call(tools, "session_files", talk)
    nothing = await call(tools, "session_files", talk, session="empty")
    read = await call(tools, "read_session_file", talk, path="sub/a")
    gone = await call(tools, "end_session", talk, session="empty")
    after = await call(tools, "list_sessions", talk)
    await tools.aclose()

    assert none.text.startswith("There are none yet")
    assert "exit code 0" in empty.text
    assert [line.partition("\t")[0] for line in listed.text.splitlines()] == ["empty", "main"]
    assert files.text.splitlines() == ["c", "sub/a"]
    assert nothing.text == "The session has no files."
    assert read.files[0].data == b"1\n"
    assert gone.text == "The session 'empty' is gone."
    assert after.text.startswith("main\t")


async def test_names_that_lead_elsewhere(tmp_path: Path, talk: ToolContext) -> None:
    tools = sessions(tmp_path)
    (talk.folder / "link").symlink_to("/etc")

    assert "has up to 64 letters" in await refusal(tools, "run_bash", talk, code="true", session="../up")
    assert "is a link" in await refusal(tools, "session_files", talk, session="link")
    assert "There is no session 'none'" in await refusal(tools, "end_session", talk, session="none")
    assert (await call(tools, "list_sessions", talk)).text.startswith("There are none yet")


async def test_its_tools_say_that_they_take_a_session(tmp_path: Path) -> None:
    specs = {spec.name: spec for spec in sessions(tmp_path).tools()}

    assert specs["run_python"].parameters["properties"]["session"]["default"] == "main"
    assert all("conversation" not in spec.description for spec in specs.values())
    assert sessions(tmp_path, NoSandbox(reason="none")).tools() == []
