"""Whether a tool call runs at once, waits for a person, or is refused: the installation's policies, then what the
person has allowed for longer, then the tool's risk. Fails closed."""

import posixpath
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from portal.core.approvals import Action, Extent, GrantRecord, arguments_hash
from portal.core.items import JsonObject
from portal.core.tools import Risk, Scope, ToolSpec
from portal.core.urls import git_url, host_of, is_folder

Resolve = Callable[[str], str]
"""Where a path leads, links followed."""

_RUNS_AT_ONCE: frozenset[Risk] = frozenset({"read"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One rule of the installation; empty fields fit everything. To allow, every path and address of a call must be
    below its `path` and `domain`; to ask or deny, one of them is enough, or a folder that `path` is in."""

    action: Action
    tool: str = "*"
    risk: Risk | str = ""
    workspace: str = "*"
    user: str = ""
    path: str = ""
    """Absolute."""
    domain: str = ""
    """As `host_of` writes hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A call that somebody would like to run."""

    spec: ToolSpec
    arguments: JsonObject
    owner: str
    workspace: str
    conversation_id: str | None
    folder: str
    """What relative paths are relative to."""

    @property
    def paths(self) -> list[str]:
        """Where it acts on this machine, absolute and without detours."""
        named = [*self._named("path"), *filter(is_folder, self._named("source"))]
        return [_absolute(self.folder, path.removeprefix("file://")) for path in named]

    @property
    def domains(self) -> list[str]:
        """The hosts it reaches; one that cannot be read is empty."""
        sources = [git_url(source) for source in self._named("source") if not is_folder(source)]
        return [host_of(url) for url in (*self._named("url"), *sources)]

    def _named(self, kind: Scope) -> Iterator[str]:
        for name in (name for name, scope in self.spec.scopes.items() if scope == kind):
            value = self.arguments[name] if name in self.arguments else _default(self.spec, name)
            yield from (str(one) for one in (value if isinstance(value, list) else [value]) if one)

    @property
    def hash(self) -> str:
        """Of the exact arguments."""
        return arguments_hash(self.spec.name, self.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happens to the call, and why, in words for a person."""

    action: Action
    why: str
    extents: Sequence[Extent] = ()
    """What a person who is asked can be offered."""
    scope: str = ""
    """The folder or domain that such an extent is for."""


class Rules:
    """The installation's policies."""

    def __init__(
        self, *, policies: Sequence[Policy] = (), web: bool = False, resolve: Resolve = lambda path: path
    ) -> None:
        """`web` is whether public web pages are read without asking; `resolve` says where paths lead, so that a link
        is no way round a policy."""
        self._resolve = resolve
        self.write(policies, web=web)

    def write(self, policies: Sequence[Policy], *, web: bool) -> None:
        """Hold by these from now on."""
        self._policies = policies
        self._web = web

    def alone(self, spec: ToolSpec) -> bool:
        """Whether calls of a tool may run where nobody can be asked, as far as that can be said beforehand."""
        if any(one.action == "allow" and _names(one, spec) for one in self._policies):
            return True
        return spec.risk in _RUNS_AT_ONCE or spec.harmless or (spec.risk == "fetch" and self._web)

    def verdict(
        self, wish: Wish, grants: Sequence[GrantRecord], *, tainted_at: int | None = None, wary: bool = False
    ) -> Verdict:
        """`tainted_at` is when the conversation first read what strangers wrote: from there on only what was allowed
        since then counts, and exact arguments. `wary`: the model is shown strangers' words on their own tools; nothing
        but reading runs then that no person has allowed."""
        policy = self._first(wish)
        if policy is not None and policy.action != "ask":
            return Verdict(action=policy.action, why=f"A policy for {policy.tool} says so.")
        if policy is not None:
            return self._asked(wish, grants, tainted_at, "A policy wants you to be asked.")
        risk = wish.spec.risk
        if risk in _RUNS_AT_ONCE:
            return Verdict(action="allow", why="It only reads.")
        alone = tainted_at is None and not wary
        if wish.spec.harmless and alone:
            return Verdict(action="allow", why="What it changes is small and easily taken back.")
        if risk == "fetch" and self._web and alone:
            return Verdict(action="allow", why="Reading the public web is turned on.")
        return self._asked(wish, grants, tainted_at, _why(risk, tainted=tainted_at is not None, wary=wary))

    def reaches(self, wish: Wish, url: str) -> bool:
        """Whether a call that runs may be led on to another address: not where a policy would have had it denied or
        asked for, nor beyond what a policy allowed it for."""
        mine, led = self._first(wish), self._first(wish, hosts=[host_of(url)])
        if led is None:
            return mine is None or mine.action == "ask" or (wish.spec.risk == "fetch" and self._web)
        return led is mine or led.action == "allow"

    def _first(self, wish: Wish, hosts: Sequence[str] | None = None) -> Policy | None:
        """The policy that decides, for the wish or for other hosts than its own."""
        return next((one for one in self._policies if _fits(one, wish, self._resolve, hosts)), None)

    def _asked(self, wish: Wish, grants: Sequence[GrantRecord], tainted_at: int | None, why: str) -> Verdict:
        if wish.spec.each:
            return Verdict(action="ask", why=why, extents=["once"])
        for grant in grants:
            fresh = tainted_at is None or grant.extent == "arguments" or grant.created_at > tainted_at
            if fresh and grant.created_at > wish.spec.since and granted(grant, wish, self._resolve):
                return Verdict(action="allow", why=f"You allowed it ({grant.extent}).")
        scope = _scope(wish)
        extents: list[Extent] = ["once", "conversation", "arguments", *([scope[0]] if scope else [])]
        if wish.conversation_id is None:
            extents.remove("conversation")
        return Verdict(action="ask", why=why, extents=extents, scope=scope[1] if scope else "")


def granted(grant: GrantRecord, wish: Wish, resolve: Resolve = lambda path: path) -> bool:
    """Whether what a person allowed covers this call."""
    if (grant.owner, grant.toolset, grant.tool) != (wish.owner, wish.spec.toolset, wish.spec.name):
        return False
    match grant.extent:
        case "conversation":
            return wish.conversation_id is not None and grant.value == wish.conversation_id
        case "arguments":
            return grant.value == wish.hash
        case "folder":
            return _by_folder(wish) and all(
                _inside(resolve(path), resolve(grant.value)) or _inside(resolve(path), resolve(wish.folder))
                for path in wish.paths
            )
        case "domain":
            return _by_domain(wish) and all(_below(host, grant.value) for host in wish.domains)
        case "once":
            return False


def _default(spec: ToolSpec, name: str) -> object:
    return spec.parameters.get("properties", {}).get(name, {}).get("default")


def _by_folder(wish: Wish) -> bool:
    """Whether a folder says all about where it acts: not where it sends something out."""
    return wish.spec.risk != "network" and not wish.domains and bool(_outside(wish))


def _by_domain(wish: Wish) -> bool:
    """Whether a domain says all about where it acts."""
    return bool(wish.domains) and all(wish.domains) and not _outside(wish)


def _outside(wish: Wish) -> list[str]:
    """Its paths beyond the conversation's own folder, which is no place to name."""
    return [path for path in wish.paths if not _inside(path, wish.folder)]


def _scope(wish: Wish) -> tuple[Extent, str] | None:
    """The folder or domain that a yes to this call could be for."""
    if _by_folder(wish):
        folder = posixpath.commonpath([posixpath.dirname(path) for path in _outside(wish)])
        return None if folder == "/" else ("folder", folder)
    domains = set(wish.domains)
    return ("domain", domains.pop()) if _by_domain(wish) and len(domains) == 1 else None


def _names(policy: Policy, spec: ToolSpec) -> bool:
    """Whether a policy is about this tool."""
    named = fnmatchcase(spec.name, policy.tool) or fnmatchcase(spec.toolset, policy.tool)
    return named and policy.risk in ("", spec.risk)


def _fits(policy: Policy, wish: Wish, resolve: Resolve, hosts: Sequence[str] | None) -> bool:
    return (
        _names(policy, wish.spec)
        and fnmatchcase(wish.workspace, policy.workspace)
        and policy.user in ("", wish.owner)
        and (not policy.path or _fits_paths(policy, wish.paths, resolve))
        and (not policy.domain or _fits_hosts(policy, wish.domains if hosts is None else hosts))
    )


def _fits_paths(policy: Policy, paths: Sequence[str], resolve: Resolve) -> bool:
    folder = resolve(policy.path)
    if policy.action == "allow":
        return bool(paths) and all(_inside(resolve(path), folder) for path in paths)
    folders = {_folded(policy.path), _folded(folder)}
    named = {_folded(one) for path in paths for one in (path, resolve(path))}
    return any(_inside(path, one) or _inside(one, path) for path in named for one in folders)


def _fits_hosts(policy: Policy, hosts: Sequence[str]) -> bool:
    if policy.action == "allow":
        return bool(hosts) and all(_below(host, policy.domain) for host in hosts)
    return any(not host or _below(host, policy.domain) for host in hosts)


def _absolute(folder: str, path: str) -> str:
    return "/" + posixpath.normpath(posixpath.join(folder, path)).lstrip("/")


def _folded(path: str) -> str:
    """As file systems compare names that take no notice of capitals and of how an accent is made."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _inside(path: str, folder: str) -> bool:
    folder = posixpath.normpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _why(risk: Risk, *, tainted: bool, wary: bool) -> str:
    told = {
        "fetch": "It reads a page on the web.",
        "write": "It changes something.",
        "execute": "It runs a program.",
        "network": "It reaches out over the network.",
        "spend": "It costs money.",
        "read": "It reads.",
    }[risk]
    if tainted:
        return f"{told} This conversation has read what strangers wrote."
    alone = risk == "fetch" and wary
    return f"{told} The model is shown tools of a server that is not trusted." if alone else told
