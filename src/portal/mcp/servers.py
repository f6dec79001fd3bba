"""All tool servers: those of the settings, of the file mcp.json, and those added over the API."""

import asyncio
import logging
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from portal.core.items import JsonObject
from portal.core.remembered import Remembered
from portal.core.tool_ports import Toolset
from portal.errors import BadRequest, Conflict, NotFound, PortalError, SettingsError
from portal.mcp import library
from portal.mcp.opening import Surroundings
from portal.mcp.server import McpServer
from portal.mcp.server_list import Entry, of_file, read_common
from portal.mcp.shipped import find, shipped
from portal.settings.mcp import ToolServerSettings
from portal.settings.section import explain

if TYPE_CHECKING:
    from portal.mcp.api_server import ApiServer

log = logging.getLogger(__name__)
_KEY = "mcp_servers"
_MOST = 100


class ToolServers:
    """The servers in use. Nothing of one is started before it is needed."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._servers: dict[str, McpServer | ApiServer] = {}
        self._wrong: dict[str, JsonObject] = {}
        self._saved = Remembered(around.key_values, _KEY, what="tool server", most=_MOST)
        self._changing = asyncio.Lock()

    def toolsets(self) -> Sequence[Toolset]:
        """Those that are enabled, with the tools that they last had; in memory."""
        return [server for server in self._servers.values() if server.settings.enabled]

    async def restore(self) -> None:
        """Take in every server; those whose tools nobody knows yet are looked at in the background."""
        async with self._changing:
            for name, settings in self._around.settings.mcp.servers.items():
                await self._use(name, settings, "settings")
            await self._take_file()
            for name, settings in (await self._added()).items():
                await self._use(name, settings, "added")

    async def again(self) -> None:
        """Another Portal on this database has added or removed some: use those, as they are now, and no others of that
        kind."""
        async with self._changing:
            added = await self._added()
            for name, one in list(self._servers.items()):
                if one.source == "added" and (name not in added or _kept(one.settings) != _kept(added[name])):
                    await self._servers.pop(name).aclose()
            for name, settings in added.items():
                await self._use(name, settings, "added")

    async def reload(self) -> Sequence[JsonObject]:
        """Read the file mcp.json again; all servers. Raises BadRequest where it cannot be read."""
        async with self._changing:
            try:
                entries = await asyncio.to_thread(of_file, self._around.settings.data_dir)
            except SettingsError as error:
                raise BadRequest(error.message) from error
            for name in [name for name, server in self._servers.items() if server.source == "file"]:
                entry = next((one for one in entries if one.name == name and one.fields), None)
                if entry is None or self._servers[name].settings != ToolServerSettings.model_validate(entry.fields):
                    await self._drop(name)
            await self._take(entries)
        self._around.on_change()
        return self.list()

    async def _take_file(self) -> None:
        try:
            await self._take(await asyncio.to_thread(of_file, self._around.settings.data_dir))
        except SettingsError as error:
            log.error("%s: its tool servers are not there", error.message)

    async def _take(self, entries: Sequence[Entry]) -> None:
        self._wrong = {}
        for entry in entries:
            if entry.fields:
                await self._use(entry.name, ToolServerSettings.model_validate(entry.fields), "file")
            else:
                self._wrong[entry.name] = _wrong(entry)

    async def _use(self, name: str, settings: ToolServerSettings, source: str) -> None:
        if name in self._servers:
            return
        kind: type[McpServer | ApiServer] = McpServer
        if settings.kind == "openapi":  # its HTTP client takes a moment to load
            kind = (await asyncio.to_thread(import_module, "portal.mcp.api_server")).ApiServer
        server = kind(name=name, settings=settings, source=source, around=self._around)
        self._servers[name] = server
        if not await server.restore() and settings.enabled and settings.auth == "none":
            self._around.tasks.create_task(_look(server))

    async def _drop(self, name: str) -> None:
        server = self._servers.pop(name)
        await server.aclose()
        await server.forget()

    def list(self) -> Sequence[JsonObject]:
        """Every server and how it is."""
        return [*(_view(server) for server in self._servers.values()), *self._wrong.values()]

    def states(self) -> Sequence[tuple[str, str, str]]:
        """Of each that is not off: its name, how it is, and what is wrong."""
        used = [one for one in self._servers.values() if one.settings.enabled]
        wrong = [(name, "wrong", str(one["detail"])) for name, one in self._wrong.items()]
        return [*((one.name, one.status, one.error) for one in used), *wrong]

    def shipped(self) -> Sequence[JsonObject]:
        """Those that Portal ships and can start, and the name under which each is there, if it is."""
        there = {server.settings.shipped: name for name, server in self._servers.items()}
        return [
            {"name": one.name, "title": one.title, "about": one.about, "added": there.get(one.name)}
            for one in shipped()
            if one.startable
        ]

    def get(self, name: str) -> "McpServer | ApiServer":
        """One. Raises NotFound."""
        if name not in self._servers:
            raise NotFound(f"There is no tool server called {name!r}.", param="name")
        return self._servers[name]

    def view(self, name: str) -> JsonObject:
        """How one is, with its tools. Raises NotFound."""
        return _view(self.get(name))

    async def _added(self) -> dict[str, ToolServerSettings]:
        found: dict[str, ToolServerSettings] = {}
        for one in await self._saved.all():
            try:
                headers = orjson.loads(self._around.secrets.get(_secret(one["name"])) or "{}")
                found[one["name"]] = ToolServerSettings.model_validate({**one["fields"], "headers": headers})
            except ValidationError as error:
                log.error("the tool server %s is not there: %s", one["name"], explain(error.errors()[0]))
        return found

    async def add(self, name: str, settings: ToolServerSettings) -> JsonObject:
        """Use a server at an address from now on, also after a restart; how it is after one look.

        Raises:
            BadRequest: it is a program: those are for the owner's files.
            Conflict: there is a server of that name, or there are too many.
        """
        if settings.command or (settings.shipped and (settings.args or settings.env or settings.cwd)):
            raise BadRequest(
                "Programs are not started on a request: add it on the machine itself, with `portal mcp add`.",
                param="command",
            )
        if settings.shipped and not ((known := find(settings.shipped)) and known.startable):
            raise BadRequest(f"Portal ships no tool server {settings.shipped!r} to start.", param="shipped")
        async with self._changing:
            if name in self._servers:
                raise Conflict(f"There is a tool server called {name!r} already.", param="name")
            if len(self._servers) >= _MOST:
                raise Conflict(f"There are {_MOST} tool servers already.")
            await self._remember(name, settings)
            await self._use(name, settings, "added")
        self._around.on_change()
        if settings.auth == "none":
            await _look(self.get(name))
        return self.view(name)

    async def _remember(self, name: str, settings: ToolServerSettings) -> None:
        """With what is secret of it, or not at all. Raises Conflict, StorageError."""
        fields, headers = _kept(settings)
        await self._saved.add({"name": name, "fields": fields}, over=lambda known: not _is_valid(known["fields"]))
        try:
            secret = orjson.dumps(headers).decode() if headers else None
            await asyncio.to_thread(self._around.secrets.set, _secret(name), secret)
        except PortalError:
            await self._saved.remove(name)
            raise

    async def remove(self, name: str) -> None:
        """Forget a server that was added this way. Raises NotFound, or Conflict for one of another source."""
        async with self._changing:
            source = self.get(name).source
            if source != "added":
                raise Conflict(f"The tool server {name!r} was not added here; take it out of the {source}.")
            for secret in (_secret(name), f"mcp-oauth:{name}"):  # once it is gone, another Portal may add its like
                await asyncio.to_thread(self._around.secrets.set, secret, None)
            await self._saved.remove(name)
            await self._drop(name)
        self._around.on_change()

    async def take_over(self, content: str, *, dry_run: bool) -> Sequence[JsonObject]:
        """Add the servers of a common JSON file that are addresses; per server what became of it. Raises BadRequest."""
        told = []
        for entry in read_common(content):
            notes = list(entry.notes)
            taken = bool(entry.fields)
            if taken and "command" in entry.fields:
                taken = False
                notes.append("it is a program: add it on the machine itself, with `portal mcp import`")
            if taken and entry.name in self._servers:
                taken = False
                notes.append("there is a server of that name already")
            if taken and not dry_run:
                await self.add(entry.name, ToolServerSettings.model_validate(entry.fields))
            told.append({"name": entry.name, "taken": taken, "notes": notes})
        return told

    async def test(self, name: str) -> JsonObject:
        """Connect and look at its tools now; how it is. Raises NotFound, Conflict for one that is off, ToolError."""
        server = self.get(name)
        if not server.settings.enabled:
            raise Conflict(f"The tool server {name!r} is off.", param="name")
        await server.refresh()
        return _view(server)

    async def resources(self, name: str) -> Sequence[JsonObject]:
        """Those of a server, and templates of them. Raises NotFound, ToolError."""
        return await library.resources(self._mcp(name))

    async def read(self, name: str, uri: str) -> Sequence[JsonObject]:
        """The contents of a resource. Raises NotFound, ToolError."""
        return await library.read(self._mcp(name), uri)

    async def prompts(self, name: str) -> Sequence[JsonObject]:
        """Those of a server. Raises NotFound, ToolError."""
        return await library.prompts(self._mcp(name))

    async def prompt(self, name: str, prompt: str, arguments: dict[str, str]) -> JsonObject:
        """A prompt filled in. Raises NotFound, ToolError."""
        return await library.prompt(self._mcp(name), prompt, arguments)

    def _mcp(self, name: str) -> McpServer:
        server = self.get(name)
        if not isinstance(server, McpServer) or not server.settings.enabled:
            raise NotFound(f"The tool server {name!r} has no resources and prompts.", param="name")
        return server

    async def sign_in(self, name: str, redirect: str) -> str:
        """Begin to sign a person in. Raises NotFound, BadRequest, ToolError."""
        return await self.get(name).sign_in(redirect)

    def come_back(self, *, code: str, state: str, iss: str | None) -> str:
        """A person was sent back with this; the server's name. Raises BadRequest where nobody waits for it."""
        for server in self._servers.values():
            if server.come_back(code=code, state=state, iss=iss):
                return server.name
        raise BadRequest("Nobody is signing in with this address; begin again.", code="unknown_state")

    async def aclose(self) -> None:
        """End every session, without waiting for servers that do not listen."""
        for server in self._servers.values():
            await server.aclose()


async def _look(server: "McpServer | ApiServer") -> None:
    """Find out its tools; how that failed is shown as its state."""
    try:
        await server.refresh()
    except PortalError as error:
        log.warning("%s", error.message)


def _secret(name: str) -> str:
    return f"mcp:{name}"


def _kept(settings: ToolServerSettings) -> tuple[JsonObject, dict[str, str]]:
    """What is remembered of one that was added, and what of it is secret."""
    fields: JsonObject = settings.model_dump(mode="json", exclude={"headers", "env"}, exclude_defaults=True)
    return fields, {name: value.get_secret_value() for name, value in settings.headers.items()}


def _is_valid(fields: JsonObject) -> bool:
    try:
        ToolServerSettings.model_validate(fields)
    except ValidationError:
        return False
    return True


def _wrong(entry: Entry) -> JsonObject:
    return {"name": entry.name, "source": "file", "status": "wrong", "detail": "; ".join(entry.notes), "tools": []}


def _view(server: "McpServer | ApiServer") -> JsonObject:
    settings = server.settings
    tools: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "title": spec.title,
            "description": spec.description,
            "risk": spec.risk,
            "parameters": spec.parameters,
        }
        for spec in server.tools()
    ]
    return {
        "name": server.name,
        "kind": "shipped" if settings.shipped else settings.kind,
        "title": server.about.get("title", ""),
        "source": server.source,
        "where": settings.url or " ".join([settings.command or settings.shipped, *settings.args]),
        "status": server.status if settings.enabled else "off",
        "detail": server.error,
        "auth": settings.auth,
        "trusted": settings.trusted,
        "about": server.about,
        "tools": tools,
    }
