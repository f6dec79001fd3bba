import asyncio
import os
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from aiohttp import web
from tests.tools.loopback import LoopbackFetcher, conversation, site

from portal.errors import ToolError
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.tool_calls import call, tool_context
from portal.tools.folders import Folders
from portal.tools.git import GitTools

Call = Callable[..., Coroutine[Any, Any, str]]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.org")
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


@pytest.fixture
def granted(tmp_path: Path) -> Path:
    return tmp_path / "granted"


@pytest.fixture
def repository(granted: Path) -> Path:
    return make(granted / "project")


@pytest.fixture
def tools(tmp_path: Path, granted: Path) -> GitTools:
    return GitTools(
        Folders(folders=[granted], hidden=tmp_path / "data"), which("git"), PlainSandbox(unsafe=True), LoopbackFetcher()
    )


@pytest.fixture
def run(tmp_path: Path, tools: GitTools) -> Call:
    (tmp_path / "data/conv").mkdir(parents=True)

    async def run(tool: str, **arguments: object) -> str:
        return (await call(tools, tool, tmp_path / "data/conv", **arguments)).text

    return run


async def refused(run: Call, tool: str, **arguments: object) -> str:
    with pytest.raises(ToolError) as caught:
        await run(tool, **arguments)
    return caught.value.message


async def test_looking(run: Call, repository: Path) -> None:
    where = str(repository)
    (repository / "a.txt").write_text("one\n2\nthree\n")
    (repository / "new.txt").write_text("new\n")

    assert (await run("git_status", repository=where)).splitlines() == ["## main", " M a.txt", "?? new.txt"]
    assert "-two\n+2" in await run("git_diff", repository=where)
    assert "1 file changed" in await run("git_diff", repository=where, summary=True)
    assert await run("git_diff", repository=where, path="new.txt") == "There is no difference."
    assert "Ada: first" in await run("git_log", repository=where, since="1 hour ago", author="Ada", path="a.txt")
    assert await run("git_log", repository=where, author="Nobody") == ""
    assert "+two" in await run("git_show", repository=where)
    assert await run("git_show", repository=where, revision="HEAD:a.txt") == "one\ntwo\nthree"
    assert (await run("git_branch", repository=where)).startswith("* main")


async def test_committing_all_or_some(run: Call, repository: Path) -> None:
    (repository / "a.txt").unlink()
    (repository / "b.txt").write_text("b")
    (repository / "c.txt").write_text("c")

    await run("git_commit", repository=str(repository), message="only b", paths=["b.txt"])
    assert git(repository, "show", "--name-status", "--format=%s").split() == ["only", "b", "A", "b.txt"]
    await run("git_commit", repository=str(repository), message="the rest")

    assert git(repository, "status", "--short") == ""
    assert "nothing to commit" in await refused(run, "git_commit", repository=str(repository), message="none")


async def test_two_commits_at_once(run: Call, repository: Path) -> None:
    for name in "bcde":
        (repository / name).write_text(name)

    async with asyncio.TaskGroup() as group:
        for name in "bcde":
            group.create_task(run("git_commit", repository=str(repository), message=f"add {name}", paths=[name]))

    assert sorted(git(repository, "log", "-4", "--format=%s").splitlines()) == ["add b", "add c", "add d", "add e"]


async def test_branches_and_merging(run: Call, repository: Path) -> None:
    where = str(repository)
    await run("git_branch", repository=where, switch="topic/one", create=True)
    (repository / "b.txt").write_text("b")
    await run("git_commit", repository=where, message="on the topic")
    await run("git_branch", repository=where, switch="main")
    (repository / "c.txt").write_text("c")
    await run("git_commit", repository=where, message="on main")

    await run("git_merge", repository=where, revision="topic/one")

    assert (repository / "b.txt").exists()
    assert "Merge branch 'topic/one'" in git(repository, "log", "-1", "--format=%s")
    assert "absent" in await refused(run, "git_merge", repository=where, revision="absent")


async def test_a_merge_that_does_not_fit_is_undone(run: Call, repository: Path) -> None:
    where = str(repository)
    for branch, text in (("topic", "one\nTOPIC\nthree\n"), ("main", "one\nMAIN\nthree\n")):
        await run("git_branch", repository=where, switch=branch, create=branch == "topic")
        (repository / "a.txt").write_text(text)
        await run("git_commit", repository=where, message=branch)

    assert "Both sides changed: a.txt" in await refused(run, "git_merge", repository=where, revision="topic")
    assert git(repository, "status", "--short") == ""
    assert (repository / "a.txt").read_text() == "one\nMAIN\nthree\n"


async def test_cloning_pulling_and_pushing(run: Call, repository: Path, granted: Path, tmp_path: Path) -> None:
    git(granted, "clone", "--bare", str(repository), "shared.git")
    for name in ("mine", "theirs"):
        assert name in await run("git_clone", url=str(granted / "shared.git"), folder=str(granted / name))
        git(granted / name, "config", "user.name", "Ada")
        git(granted / name, "config", "user.email", "ada@example.org")
    (granted / "mine/b.txt").write_text("b")
    await run("git_commit", repository=str(granted / "mine"), message="b")

    assert "refs/heads/main" in await run("git_push", repository=str(granted / "mine"))
    assert "b.txt" in await run("git_pull", repository=str(granted / "theirs"))

    (granted / "mine/b.txt").write_text("mine")
    await run("git_commit", repository=str(granted / "mine"), message="mine")
    await run("git_push", repository=str(granted / "mine"), branch="main")
    (granted / "theirs/b.txt").write_text("theirs")
    await run("git_commit", repository=str(granted / "theirs"), message="theirs")
    assert "rejected" in await refused(run, "git_push", repository=str(granted / "theirs"))
    assert "fast-forward" in await refused(run, "git_pull", repository=str(granted / "theirs"))
    assert await run("git_clone", url=f"file://{granted}/shared.git", depth=1) == "Cloned into shared."
    assert "there already" in await refused(run, "git_clone", url=str(granted / "shared.git"))
    assert (tmp_path / "data/conv/shared/b.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("git_clone", {"url": "ext::sh -c touch% OUT"}),
        ("git_clone", {"url": "/etc"}),
        ("git_clone", {"url": "file:///etc"}),
        ("git_clone", {"url": "-u./evil"}),
        ("git_clone", {"url": "https://-oProxyCommand=touch/x"}),
        ("git_clone", {"url": "http://127.0.0.1:9/x.git", "folder": "/etc/x"}),
        ("git_clone", {"url": "http://10.0.0.1/x.git"}),
        ("git_clone", {"url": "git@10.0.0.1:x.git"}),
        ("git_clone", {"url": "10.0.0.1:x.git"}),
        ("git_diff", {"revision": "--output=OUT"}),
        ("git_diff", {"revision": "HEAD --output=OUT"}),
        ("git_diff", {"revision": "/dev/null /etc/passwd"}),
        ("git_diff", {"revision": "--no-index /dev/null /etc/passwd"}),
        ("git_diff", {"path": "/etc/passwd"}),
        ("git_log", {"revision": "--output=OUT"}),
        ("git_show", {"revision": "HEAD:../../etc/passwd"}),
        ("git_branch", {"switch": "--orphan"}),
        ("git_branch", {"switch": "-C main"}),
        ("git_merge", {"revision": "--strategy=evil"}),
        ("git_push", {"remote": "--receive-pack=evil"}),
        ("git_push", {"remote": "../elsewhere"}),
        ("git_push", {"branch": "+main"}),
        ("git_push", {"branch": ":main"}),
        ("git_commit", {"message": "x", "paths": ["/etc/passwd"]}),
        ("git_status", {"repository": "/"}),
    ],
)
async def test_arguments_that_want_more_are_refused(
    run: Call, repository: Path, tool: str, arguments: dict[str, object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given = {"repository": str(repository)} if tool != "git_clone" else {}
    given |= {
        key: value.replace("OUT", str(out)) if isinstance(value, str) else value for key, value in arguments.items()
    }

    told = await refused(run, tool, **given)

    assert not out.exists()
    assert "root:" not in told


HOSTILE = {
    "filter.evil.clean": "touch OUT; cat",
    "filter.evil.smudge": "touch OUT; cat",
    "filter.evil.process": "touch OUT",
    "diff.evil.textconv": "touch OUT; cat",
    "diff.evil.command": "touch OUT",
    "diff.external": "touch OUT",
    "merge.evil.driver": "touch OUT",
    "core.sshCommand": "touch OUT",
    "core.gitProxy": "touch OUT",
    "core.worktree": "/",
    "credential.helper": "!touch OUT",
    "credential.https://example.org.helper": "!touch OUT",
    "gpg.program": "touch OUT",
    "gpg.ssh.defaultKeyCommand": "touch OUT",
    "include.path": "other",
    "includeIf.gitdir:/.path": "other",
    "remote.origin.uploadpack": "touch OUT",
    "remote.origin.vcs": "evil",
    "submodule.x.update": "!touch OUT",
    "trailer.x.command": "touch OUT",
    "url.ext::sh.insteadOf": "https://",
}


@pytest.mark.parametrize("key", HOSTILE)
async def test_a_repository_whose_settings_name_programs_is_not_used(
    run: Call, repository: Path, tmp_path: Path, key: str
) -> None:
    out = tmp_path / "out"
    (repository / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    git(repository, "config", key, HOSTILE[key].replace("OUT", str(out)))
    os.utime(repository / "a.txt", (1, 1))

    for tool in ("git_status", "git_diff", "git_pull"):
        told = await refused(run, tool, repository=str(repository))
        assert "own settings" in told or "not in a folder" in told
    assert not out.exists()


async def test_hooks_and_the_file_monitor_do_not_run(run: Call, repository: Path, tmp_path: Path) -> None:
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/out\n")
    script.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "post-commit", "post-checkout", "pre-push", "post-merge", "commit-msg"):
        for folder in (repository / ".git/hooks", hooks):
            (folder / name).symlink_to(script)
    for key, value in {
        "core.hooksPath": hooks,
        "core.fsmonitor": script,
        "core.pager": script,
        "core.editor": script,
        "core.askPass": script,
        "sequence.editor": script,
        "alias.status": f"!{script}",
        "pager.log": script,
    }.items():
        git(repository, "config", key, str(value))
    (repository / "b.txt").write_text("b")

    for tool in ("git_status", "git_log", "git_diff", "git_show", "git_branch"):
        await run(tool, repository=str(repository))
    await run("git_commit", repository=str(repository), message="b")
    await run("git_branch", repository=str(repository), switch="topic", create=True)

    assert not (tmp_path / "out").exists()


async def test_a_repository_elsewhere_is_not_reached(run: Call, granted: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside")
    (granted / "linked").mkdir(parents=True)
    (granted / "linked/.git").write_text(f"gitdir: {outside}/.git\n")
    around = make(tmp_path / "around")
    (around / "inner").mkdir()
    tools = GitTools(
        Folders(folders=[around / "inner"], hidden=tmp_path / "data"),
        which("git"),
        PlainSandbox(unsafe=True),
        LoopbackFetcher(),
    )

    assert "not in a folder" in await refused(run, "git_log", repository=str(granted / "linked"))
    with pytest.raises(ToolError, match="not a git repository"):
        await call(tools, "git_log", tmp_path / "data/conv", repository=str(around / "inner"))


@pytest.mark.parametrize("remote", ["OUTSIDE", "file://OUTSIDE", "../../outside"])
async def test_a_remote_elsewhere_on_this_machine_is_not_reached(
    run: Call, repository: Path, tmp_path: Path, remote: str
) -> None:
    outside = make(tmp_path / "outside")
    git(repository, "remote", "add", "origin", remote.replace("OUTSIDE", str(outside)))
    git(repository, "config", "branch.main.remote", "origin")
    git(repository, "config", "branch.main.merge", "refs/heads/main")

    assert "not in a folder" in await refused(run, "git_pull", repository=str(repository))
    assert "not in a folder" in await refused(run, "git_push", repository=str(repository))


async def test_a_server_that_is_away_is_told(run: Call, repository: Path) -> None:
    git(repository, "remote", "add", "origin", "http://127.0.0.1:9/x.git")

    assert "git push" in await refused(run, "git_push", repository=str(repository))
    assert "git clone" in await refused(run, "git_clone", url="http://127.0.0.1:9/x.git")


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/x.git", "ssh://git@10.0.0.1/x.git", "git@10.0.0.1:x.git", "10.0.0.1:x.git", "ftp://10.0.0.1/x"],
)
@pytest.mark.parametrize("own", [False, True])
async def test_a_remote_that_the_guard_refuses_is_not_reached(
    run: Call, repository: Path, tmp_path: Path, url: str, own: bool
) -> None:
    where = make(tmp_path / "data/conv/mine") if own else repository
    git(where, "remote", "add", "origin", "http://127.0.0.1:9/x.git")
    git(where, "config", "remote.origin.pushurl", url)
    git(where, "config", "branch.main.remote", url)
    git(where, "config", "branch.main.merge", "refs/heads/main")

    for tool in ("git_pull", "git_push"):
        told = await refused(run, tool, repository=str(where))
        assert "not allowed" in told or "neither an address" in told


@pytest.mark.parametrize("key", ["core.sshCommand", "url.http://10.0.0.1/.insteadOf", "http.proxy", "include.path"])
async def test_the_sandbox_gets_the_network_for_no_settings_of_a_repository(
    run: Call, tmp_path: Path, key: str
) -> None:
    where = make(tmp_path / "data/conv/mine")
    git(where, "remote", "add", "origin", "http://127.0.0.1:9/x.git")
    git(where, "config", key, "http://127.0.0.1:9/")

    assert (await run("git_status", repository="mine")).startswith("##")
    for tool in ("git_pull", "git_push"):
        assert "own settings" in await refused(run, tool, repository="mine")


async def test_a_remote_that_policies_close_is_not_reached(tools: GitTools, repository: Path, tmp_path: Path) -> None:
    git(repository, "remote", "add", "origin", "git@127.0.0.1:x.git")
    asked: list[str] = []

    def allowed(url: str) -> bool:
        asked.append(url)
        return False

    for name in ("git_pull", "git_push"):
        with pytest.raises(ToolError, match="Policies do not allow"):
            await tools.call(name, {"repository": str(repository)}, conversation(tmp_path, allowed=allowed))
    assert asked == ["ssh://git@127.0.0.1/x.git"] * 2


async def test_a_name_leads_git_only_where_it_led_when_it_was_checked(
    repository: Path, granted: Path, tmp_path: Path
) -> None:
    reached: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        reached.append(request.host)
        return web.Response(status=404)

    folders, fetcher = Folders(folders=[granted], hidden=tmp_path / "data"), LoopbackFetcher("no-such-name.invalid")
    tools = GitTools(folders, which("git"), PlainSandbox(unsafe=True), fetcher)
    async with site({"/{rest:.*}": answer}) as base:
        url = base.replace("127.0.0.1", "no-such-name.invalid") + "/x.git"
        git(repository, "remote", "add", "origin", url)
        for name, arguments in (("git_clone", {"url": url}), ("git_push", {"repository": str(repository)})):
            with pytest.raises(ToolError, match="not found"):
                await tools.call(name, arguments, conversation(tmp_path))

    assert set(reached) == {url.split("/")[2]}


async def test_ssh_goes_only_where_its_name_led_when_it_was_checked(
    repository: Path, granted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, programs = tmp_path / "told", tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\necho "$@" >> {told}\nexit 255\n')
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")  # noqa: TID251
    folders, fetcher = (
        Folders(folders=[granted], hidden=tmp_path / "data"),
        LoopbackFetcher("no-such-name.invalid", "other.no-such-name.invalid"),
    )
    tools = GitTools(folders, which("git"), PlainSandbox(unsafe=True), fetcher)
    git(repository, "remote", "add", "origin", "git@no-such-name.invalid:x.git")

    for name, arguments in (
        ("git_clone", {"url": "ssh://git@no-such-name.invalid/x.git"}),
        ("git_push", {"repository": str(repository)}),
    ):
        with pytest.raises(ToolError):
            await tools.call(name, arguments, conversation(tmp_path))

    for line in told.read_text().splitlines():
        assert "-oHostName=127.0.0.1 -oHostKeyAlias=no-such-name.invalid" in line
        assert "-oBatchMode=yes" in line
    git(repository, "remote", "set-url", "--add", "--push", "origin", "git@no-such-name.invalid:x.git")
    git(repository, "remote", "set-url", "--add", "--push", "origin", "git@other.no-such-name.invalid:x.git")
    with pytest.raises(ToolError, match="several servers"):
        await tools.call("git_push", {"repository": str(repository)}, conversation(tmp_path))


async def test_git_is_not_led_elsewhere(run: Call, repository: Path) -> None:
    reached: list[str] = []

    async def inner(request: web.Request) -> web.Response:
        reached.append(request.path_qs)
        return web.Response(status=404)

    async with site({"/inner/{rest:.*}": inner}) as hidden:

        async def led(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"{hidden}/inner{request.path_qs}")

        async with site({"/{rest:.*}": led}) as shown:
            assert "git clone" in await refused(run, "git_clone", url=f"{shown}/x.git")
    assert not reached


async def test_in_the_conversations_folder_git_runs_in_the_sandbox(granted: Path, tmp_path: Path) -> None:
    sandbox, own = PlainSandbox(unsafe=True), tmp_path / "data/conv"
    tools = GitTools(Folders(folders=[granted], hidden=tmp_path / "data"), None, sandbox, LoopbackFetcher())
    make(granted / "project")

    await call(tools, "git_clone", own, url=str(granted / "project"), folder="deep/mine")
    (own / "deep/mine/b.txt").write_text("b")
    await call(tools, "git_commit", own, repository="deep/mine", message="b")

    assert "Portal: b" in (await call(tools, "git_log", own, repository="deep/mine")).text
    assert [job.folder for job in sandbox.jobs] == [own] * 4
    assert [job.network for job in sandbox.jobs] == [True, False, False, False]
    assert sandbox.jobs[0].readable == [granted / "project"]
    assert "up to date" in (await call(tools, "git_pull", own, repository="deep/mine")).text
    assert sandbox.jobs[-1].network
    await call(tools, "git_clone", own, url="deep/mine", folder="copy")
    assert "Portal: b" in (await call(tools, "git_log", own, repository="copy")).text
    with pytest.raises(ToolError, match="use move_file"):
        await call(tools, "git_clone", own, url="copy", folder=str(granted / "copy"))


async def test_where_repositories_are_is_said(run: Call, repository: Path, granted: Path) -> None:
    assert f"Say which one; you may use {granted}." in await refused(run, "git_log")
    assert "first" in await run("git_log", repository=str(repository))


async def test_no_repository_and_no_folder(run: Call, granted: Path) -> None:
    granted.mkdir()

    assert "not a git repository" in await refused(run, "git_status", repository=str(granted))
    assert "is not a folder" in await refused(run, "git_status", repository=str(granted / "absent"))


async def test_a_program_that_hangs_is_stopped(tmp_path: Path, granted: Path) -> None:
    granted.mkdir()
    slow = tmp_path / "slow-git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    tools = GitTools(
        Folders(folders=[granted], hidden=tmp_path / "data"),
        str(slow),
        PlainSandbox(unsafe=True),
        LoopbackFetcher(),
        patience=0.2,
    )

    with pytest.raises(ToolError, match="did not end within"):
        await call(tools, "git_status", tmp_path / "data/conv", repository=str(granted))


async def test_without_git_nothing_is_offered(tmp_path: Path, granted: Path) -> None:
    granted.mkdir()
    places = Folders(folders=[granted], hidden=tmp_path / "data")
    tools = GitTools(places, None, PlainSandbox(unsafe=True, refusal="install bubblewrap"), LoopbackFetcher())

    assert list(tools.tools()) == []
    with pytest.raises(ToolError, match="not installed"):
        await tools.call("git_status", {"repository": str(granted)}, tool_context(tmp_path / "conv"))
    with pytest.raises(ToolError, match="install bubblewrap"):
        await tools.call("git_status", {}, tool_context(granted))
