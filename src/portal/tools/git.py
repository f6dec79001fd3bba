"""Git over the folders of `Folders`, by the git program: no hooks, pagers, editors or prompts, and no program that a
repository's own settings name. A repository is what strangers wrote; its `.git/config` could run anything. In the
conversation's own folder, which running code can change at any moment, git itself runs in the sandbox. Git connects by
itself: the outbound guard judges each address before, and git follows no redirect from there.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Annotated, TypeAlias

from portal.core.sandbox import SandboxJob
from portal.core.tool_ports import Fetcher, Sandbox
from portal.core.tools import ToolContext, ToolSpec
from portal.core.urls import git_url, is_folder
from portal.errors import ToolError
from portal.settings.environment import program_environment
from portal.tools.code import DISK
from portal.tools.families import Needs
from portal.tools.folders import Folders, Place, granted
from portal.tools.function import Functions, tool
from portal.tools.git_reach import SSH, pinned
from portal.tools.program import run

_Ended: TypeAlias = tuple[int | None, bytes, bytes]
"""Exit code (None where its time was over), output, complaints."""
_REMOTE = 300
_MOST_OUTPUT = 4 * 2**20
_INSIDE = (
    'mkdir -p .portal && printf "[safe]\\n directory = *\\n[user]\\n name = Portal\\n email = portal@localhost\\n" '
    '>.portal/gitconfig && GIT_CONFIG_GLOBAL="$PWD/.portal/gitconfig" exec git "$@"'
)
"""In the sandbox nothing is known of the person, and what it sees may belong to another user than its own."""
_SAFE = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.pager=cat", "core.editor=true", "core.askPass=true"),
    *("sequence.editor=true", "commit.gpgSign=false", "tag.gpgSign=false", "merge.verifySignatures=false"),
    *("protocol.ext.allow=never", "submodule.recurse=false", "fetch.recurseSubmodules=false", "gc.auto=0"),
    *("maintenance.auto=false", "color.ui=false", "advice.detachedHead=false", "core.quotePath=false"),
    *("log.showSignature=false", "diff.submodule=short", "http.followRedirects=false"),
    f"core.sshCommand={SSH}",
)
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "true",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_MERGE_AUTOEDIT": "no",
    "LC_ALL": "C.UTF-8",
}
_RUNS_PROGRAMS = re.compile(
    r"(filter\..*\.(clean|smudge|process)|diff\.(.*\.)?(command|textconv|external)|merge\..*\.driver"
    r"|core\.(sshcommand|gitproxy|worktree|alternaterefscommand)|(credential|gpg)\.(.*\.)?(helper|program|.*command)|include(if)?\..*"
    r"|remote\..*\.(uploadpack|receivepack|vcs|proxy)|submodule\..*\.update|trailer\..*\.(command|cmd)|url\..*"
    r"|uploadpack\..*|extensions\.worktreeconfig|hook\..*|ssh\..*|http\.(.*\.)?(proxy|ssl.*|cookiefile))"
)
"""Keys of a repository's own settings that name programs, other files, or where else its requests go."""
_REMOTE_URL = re.compile(r"(https?|ssh|git)://[^-].*|[\w.]+@[\w.-]+:[^-].*")
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color")

Repository = Annotated[str, "Folder of the repository"]
Revision = Annotated[str, "Branch, tag or commit"]


def create(needs: Needs) -> "GitTools":
    """The family."""
    folders = granted(needs.settings)
    return GitTools(folders, which("git"), needs.sandbox, needs.fetcher)


class GitTools(Functions):
    """The tools; none where git can run neither here nor in the sandbox."""

    def __init__(
        self, folders: Folders, program: str | None, sandbox: Sandbox, fetcher: Fetcher, *, patience: float = 60
    ) -> None:
        """`patience` is in seconds, for what needs no other machine."""
        self._folders, self._program, self._sandbox, self._patience = folders, program, sandbox, patience
        self._fetcher = fetcher
        self._changing = asyncio.Lock()
        super().__init__(
            "git",
            [
                self.git_status,
                self.git_log,
                self.git_diff,
                self.git_show,
                self.git_branch,
                self.git_commit,
                self.git_merge,
                self.git_clone,
                self.git_pull,
                self.git_push,
            ],
        )

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return super().tools() if self._program or not self._sandbox.refusal() else []

    @tool(risk="read", scopes={"repository": "path"}, untrusted=True)
    async def git_status(self, context: ToolContext, repository: Repository = ".") -> str:
        """Show which branch a git repository is on, and which files were changed."""
        return await self._told(context, repository, "status", "--short", "--branch", "--ignore-submodules=all")

    @tool(risk="read", scopes={"repository": "path"}, untrusted=True)
    async def git_log(
        self,
        context: ToolContext,
        repository: Repository = ".",
        revision: Revision = "HEAD",
        since: Annotated[str, "Such as 2026-01-31 or '1 week ago'"] = "",
        author: Annotated[str, "Part of the author's name"] = "",
        path: Annotated[str, "Only changes of this file or folder, from the repository's folder"] = "",
        limit: Annotated[int, "Most commits"] = 30,
    ) -> str:
        """List the commits of a git repository: hash, date, author, subject and size of the change."""
        options = [
            "--format=%h %ad %an: %s",
            "--date=format:%Y-%m-%d %H:%M",
            "--shortstat",
            f"-{max(1, min(limit, 500))}",
        ]
        options += [f"--since={since}"] if since else []
        options += [f"--author={author}"] if author else []
        return await self._told(context, repository, "log", *_DIFF, *options, *_at(revision), *([path] if path else []))

    @tool(risk="read", scopes={"repository": "path"}, untrusted=True)
    async def git_diff(
        self,
        context: ToolContext,
        repository: Repository = ".",
        revision: Annotated[str, "Compare with this; or two of them, as main..topic"] = "HEAD",
        path: Annotated[str, "Only this file or folder, from the repository's folder"] = "",
        summary: Annotated[bool, "Only how much changed in each file"] = False,
    ) -> str:
        """Show what was changed in a git repository, by default since the last commit."""
        options = [*_DIFF, "--ignore-submodules=all", *(["--stat"] if summary else [])]
        said = await self._told(context, repository, "diff", *options, *_at(revision), *([path] if path else []))
        return said or "There is no difference."

    @tool(risk="read", scopes={"repository": "path"}, untrusted=True)
    async def git_show(self, context: ToolContext, revision: Revision = "HEAD", repository: Repository = ".") -> str:
        """Show one commit of a git repository with its changes, or a file as it was: revision:path."""
        return await self._told(context, repository, "show", *_DIFF, "--stat", "--patch", *_at(revision))

    @tool(risk="write", scopes={"repository": "path"})
    async def git_branch(
        self,
        context: ToolContext,
        repository: Repository = ".",
        switch: Annotated[str, "Go to this branch; empty only lists them"] = "",
        create: Annotated[bool, "Make the branch first"] = False,
    ) -> str:
        """List the branches of a git repository, go to another one, or begin a new one."""
        if switch:
            make = ["--create"] if create else []
            async with self._changing:
                await self._told(context, repository, "switch", "--no-recurse-submodules", *make, _named(switch))
        return await self._told(context, repository, "branch", "--all", "--verbose", "--no-color")

    @tool(risk="write", scopes={"repository": "path"})
    async def git_commit(
        self,
        context: ToolContext,
        message: Annotated[str, "What was changed and why"],
        repository: Repository = ".",
        paths: Annotated[list[str], "Files to commit, from the repository's folder; empty for all changes"] = [],  # noqa: B006
    ) -> str:
        """Commit changed files in a git repository. Hooks do not run."""
        only = ["--only", "--", *paths] if paths else []
        async with self._changing:
            await self._told(context, repository, "add", "--all", "--", *(paths or ["."]))
            return await self._told(context, repository, "commit", "--no-verify", f"--message={message}", *only)

    @tool(risk="write", scopes={"repository": "path"})
    async def git_merge(self, context: ToolContext, revision: Revision, repository: Repository = ".") -> str:
        """Merge a branch into the present one. Where both changed the same lines it is undone, and the files named."""
        async with self._changing:
            return await self._merged(context, repository, _named(revision))

    @tool(risk="network", scopes={"url": "source", "folder": "path"}, timeout=_REMOTE + 30, untrusted=True)
    async def git_clone(
        self,
        context: ToolContext,
        url: Annotated[str, "Address of the repository, or a repository's folder"],
        folder: Annotated[str, "New folder for it; empty takes the repository's name"] = "",
        depth: Annotated[int, "Only so many of the last commits; 0 takes all"] = 0,
    ) -> str:
        """Copy a git repository from another server."""
        name = folder or re.sub(r"\.git$", "", re.split(r"[/:]", url.rstrip("/"))[-1])
        place = self._folders.at(name, context)
        source, readable, pinned = await self._source(url, place, context)
        if place.path.exists():
            raise ToolError(f"{place.shown} is there already.")
        root = Place(place.root, Path(), place.own)
        place.root.mkdir(parents=True, exist_ok=True)
        few = [f"--depth={depth}"] if depth > 0 else []
        clone = ["clone", "--quiet", "--no-recurse-submodules", "--template=", *few, "--", source, str(place.relative)]
        await self._git(root, clone, remote=True, readable=readable, pinned=pinned)
        return f"Cloned into {place.shown}."

    @tool(risk="network", scopes={"repository": "path"}, timeout=_REMOTE + 30, untrusted=True)
    async def git_pull(self, context: ToolContext, repository: Repository = ".") -> str:
        """Bring a git repository up to date from where it was cloned; what cannot simply follow is not merged."""
        folder = await self._repository(context, repository, remote=True)
        pinned = await self._remote_checked(folder, context, "ls-remote", "--get-url")
        async with self._changing:
            return (await self._git(folder, ["pull", "--ff-only", "--no-rebase"], remote=True, pinned=pinned)).strip()

    @tool(risk="network", scopes={"repository": "path"}, timeout=_REMOTE + 30)
    async def git_push(
        self,
        context: ToolContext,
        repository: Repository = ".",
        remote: Annotated[str, "Name of the remote"] = "origin",
        branch: Annotated[str, "Which branch; empty for the present one"] = "",
    ) -> str:
        """Send the commits of a branch to where the repository came from. It never overwrites what is there."""
        folder = await self._repository(context, repository, remote=True)
        pinned = await self._remote_checked(folder, context, "remote", "get-url", "--push", "--all", _named(remote))
        what = [
            "push",
            "--no-verify",
            "--porcelain",
            "--set-upstream",
            _named(remote),
            _named(branch) if branch else "HEAD",
        ]
        return (await self._git(folder, what, remote=True, pinned=pinned)).strip()

    async def _merged(self, context: ToolContext, repository: str, revision: str) -> str:
        try:
            options = ["--no-verify", "--no-edit", "--end-of-options"]
            return await self._told(context, repository, "merge", *options, revision)
        except ToolError:
            torn = await self._told(context, repository, "diff", *_DIFF, "--name-only", "--diff-filter=U")
            if not torn:
                raise
            await self._told(context, repository, "merge", "--abort")
            raise ToolError(f"Not merged, all is as before. Both sides changed: {', '.join(torn.split())}") from None

    async def _source(self, url: str, target: Place, context: ToolContext) -> tuple[str, list[Path], list[str]]:
        """An address, or a folder that tools may use; what must be readable for it; and where the address is."""
        if not is_folder(url):
            return url, [], await self._checked(url, context)
        place = self._folders.at(url.removeprefix("file://"), context)
        if not place.path.is_dir():
            raise ToolError(f"{url} is neither an address nor a folder.")
        if not place.own:
            return str(place.path), [place.path], []
        if not target.own:
            raise ToolError("Out of the conversation's own folder a repository is moved: use move_file.")
        return f"./{place.relative}", [], []

    async def _told(self, context: ToolContext, repository: str, *arguments: str) -> str:
        return (await self._git(await self._repository(context, repository), arguments)).strip("\n")

    async def _repository(self, context: ToolContext, repository: str, *, remote: bool = False) -> Place:
        """The folder, once it is clear that git can work in it without running what the repository names. In the
        sandbox it could do so, but not with the network of this machine."""
        place = self._folders.at(repository, context)
        others = ", ".join(map(str, self._folders.granted))
        if repository in ("", ".") and others and self.tools() and not (place.path / ".git").is_dir():
            raise ToolError(f"The conversation's own folder is no repository. Say which one; you may use {others}.")
        if not place.path.is_dir():
            raise ToolError(f"{place.shown} is not a folder.")
        if place.own and not remote:
            return place
        where = ["rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--git-common-dir"]
        for folder in [] if place.own else (await self._git(place, where)).split("\n")[:3]:
            self._folders.at(folder, context)
        listed = await self._git(place, ["config", "--local", "--no-includes", "--list", "--name-only", "-z"])
        named = sorted({key for key in listed.split("\0") if _RUNS_PROGRAMS.fullmatch(key.lower())})
        if named:
            raise ToolError(
                f"The repository's own settings ({', '.join(named)[:500]}) name programs or other places; for safety "
                "tools do not use git there. A person can remove them from its .git/config."
            )
        return place

    async def _remote_checked(self, place: Place, context: ToolContext, *asking: str) -> list[str]:
        """Where git would go, by its own account, must be where tools may go; of folders the sandbox sees no others."""
        pinned: list[str] = []
        for url in (await self._git(place, asking)).splitlines():
            if not is_folder(url):
                pinned += await self._checked(url, context)
            elif not place.own:
                top = (await self._git(place, ["rev-parse", "--show-toplevel"])).removesuffix("\n")
                self._folders.at(os.path.join(top, url.removeprefix("file://")), context)
        if len({one for one in pinned if one.startswith("core.sshCommand")}) > 1:
            raise ToolError("This remote goes to several servers by ssh: name one for each.")
        return pinned

    async def _checked(self, url: str, context: ToolContext) -> list[str]:
        """How git reaches it, as `pinned` has it. Raises ToolError where it may not."""
        if not _REMOTE_URL.fullmatch(url):
            raise ToolError("This is neither an address that git may reach nor a folder.")
        if not context.allowed(git_url(url)):
            raise ToolError("Policies do not allow this repository's server here.")
        return pinned(url, await self._fetcher.check(git_url(url)))

    async def _git(
        self,
        place: Place,
        arguments: Sequence[str],
        *,
        remote: bool = False,
        readable: Sequence[Path] = (),
        pinned: Sequence[str] = (),
    ) -> str:
        """What it prints. Raises ToolError with what it complains of."""
        seconds = _REMOTE if remote else self._patience
        run = self._inside if place.own else self._outside
        ended = await run(place, _safely(arguments, pinned), seconds=seconds, remote=remote, readable=readable)
        return _printed(arguments[0], ended, seconds)

    async def _outside(
        self, place: Place, words: Sequence[str], *, seconds: float, remote: bool, readable: Sequence[Path]
    ) -> _Ended:
        """As the person's own git, with their name and keys."""
        return await _own_git(self._program, place.path, words, seconds=seconds, ceiling=place.root.parent)

    async def _inside(
        self, place: Place, words: Sequence[str], *, seconds: float, remote: bool, readable: Sequence[Path]
    ) -> _Ended:
        job = SandboxJob(
            argv=["sh", "-c", _INSIDE, "git", "-C", str(place.relative), *words],
            folder=place.root,
            readable=readable,
            environment=_ENVIRONMENT,
            seconds=seconds,
            disk=DISK,
            output=_MOST_OUTPUT,
            network=remote,
        )
        result = await self._sandbox.run(job)
        return result.code, result.stdout, result.stderr


async def clone(url: str, into: Path, *, settings: Sequence[str] = ()) -> None:
    """The last commit of another server's repository, or of one at a file:// address, in a new folder; nothing that it
    holds runs. Raises ToolError."""
    words = ["clone", "--quiet", "--no-recurse-submodules", "--template=", "--depth=1", "--", url, into.name]
    ended = await _own_git(which("git"), into.parent, _safely(words, settings), seconds=_REMOTE, ceiling=into.parent)
    _printed("clone", ended, _REMOTE)


def is_address(text: str) -> bool:
    """Whether git would ask another server for it."""
    return _REMOTE_URL.fullmatch(text) is not None


async def _own_git(program: str | None, folder: Path, words: Sequence[str], *, seconds: float, ceiling: Path) -> _Ended:
    if not program:
        raise ToolError("git is not installed on this machine.")
    told = {**program_environment(), **_ENVIRONMENT, "GIT_CEILING_DIRECTORIES": str(ceiling)}
    ended = await run([program, *words], folder=folder, environment=told, seconds=seconds, output=_MOST_OUTPUT)
    return ended.code, ended.stdout, ended.stderr


def _safely(arguments: Sequence[str], pinned: Sequence[str] = ()) -> list[str]:
    return ["--no-pager", *(word for setting in (*_SAFE, *pinned) for word in ("-c", setting)), *arguments]


def _printed(command: str, ended: _Ended, seconds: float) -> str:
    """Standard output. Raises ToolError with what it complained of."""
    code, stdout, stderr = ended
    if code is None:
        raise ToolError(f"git {command} did not end within {seconds:g} seconds; it was stopped.")
    if code:
        said = (stderr or stdout).decode("utf-8", errors="replace").strip()
        raise ToolError(f"git {command}: {said[-2000:] or f'exit code {code}'}")
    return stdout.decode("utf-8", errors="replace")


def _named(name: str) -> str:
    """The name of a branch or remote, which cannot be taken for an option, an address or a folder."""
    if not re.fullmatch(r"\w[\w./+@-]*", name):
        raise ToolError(f"{name!r} is not a name that git takes here.")
    return name


def _at(revision: str) -> list[str]:
    """Revisions, which cannot be taken for options or, with the `--` behind them, for paths."""
    return ["--end-of-options", *(revision.split() or ["HEAD"]), "--"]
