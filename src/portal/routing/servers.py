"""Model servers as a person manages them: those in use, and those added from the page, which are remembered."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Protocol

from portal.core.ask import Ask
from portal.core.items import JsonObject
from portal.core.key_values import KeyValues
from portal.core.model import ModelInfo
from portal.core.ports import Backend
from portal.core.remembered import Remembered
from portal.errors import BadRequest, Conflict, NoModel, NotFound, PortalError, SettingsError
from portal.routing.discovery import place
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.workspaces import AUTO

_KEY = "backends"


class Create(Protocol):
    """Makes a backend of a kind. Raises SettingsError."""

    def __call__(self, *, kind: str, url: str, name: str, api_key: str | None) -> Backend:
        """Not yet asked anything."""


class Secrets(Protocol):
    """Where the servers' own API keys are kept, apart from the database. Both raise StorageError."""

    def get(self, name: str) -> str | None:
        """None when there is none."""

    def set(self, name: str, secret: str | None) -> None:
        """Keep it, or forget it with None."""


class ModelServers:
    """The registry with a memory."""

    def __init__(
        self,
        *,
        registry: Registry,
        router: Router,
        create: Create,
        kinds: Callable[[], Sequence[str]],
        presets: Callable[[], Sequence[JsonObject]],
        key_values: KeyValues,
        secrets: Secrets,
    ) -> None:
        """`kinds` are those that may be added: servers with an address, not what is a part of Portal; `presets` those
        of them that are known by name."""
        self._registry = registry
        self._router = router
        self._create = create
        self._kinds = kinds
        self.presets = presets
        self._saved = Remembered(key_values, _KEY, what="model server")
        self._secrets = secrets
        self._in_use: dict[str, tuple[JsonObject, str | None]] = {}
        """Those of the page as they were taken in, each with its key."""
        self._changing = asyncio.Lock()

    async def restore(self) -> None:
        """Take in what was added from the page before."""
        for server in await self._saved.all():
            try:
                key = self._secrets.get(_secret(server["name"]))
                backend = self._create(kind=server["kind"], url=server["url"], name=server["name"], api_key=key)
                self._registry.add(backend, source="page")
            except (SettingsError, Conflict):
                continue  # its plug-in is gone, or the settings name it now: it stays remembered
            self._in_use[backend.name] = server, key

    async def again(self) -> None:
        """Another server has added or removed some: use those, as they are now, and no others."""
        async with self._changing:
            there = {one["name"]: (one, self._secrets.get(_secret(one["name"]))) for one in await self._saved.all()}
            for name, known in list(self._in_use.items()):
                if there.get(name) != known:
                    await self._forgotten(name)
            if there.keys() - self._in_use.keys():
                await self.restore()

    async def _forgotten(self, name: str) -> None:
        del self._in_use[name]
        await self._registry.remove(name)

    def list(self) -> Sequence[ModelInfo]:
        """All models, without waiting."""
        return self._registry.list()

    def status(self) -> Sequence[JsonObject]:
        """Every server: the fields of BackendStatus."""
        return [asdict(status) for status in self._registry.status()]

    def auto(self) -> JsonObject | None:
        """What `auto` means now: {model, reason}; None when there is no model."""
        try:
            route = self._router.route(Ask(model=AUTO))
        except NoModel:
            return None
        return {"model": route.model.id, "reason": route.candidates[0].why}

    async def refresh(self) -> None:
        """Ask every server now."""
        await self._registry.refresh()

    async def add(self, *, kind: str, url: str, name: str, api_key: str | None) -> JsonObject:
        """Use a server from now on, also after a restart; its status after one look.

        Raises:
            BadRequest: the kind is unknown or none to add, or the URL is none.
            Conflict: there is a server of that name.
        """
        if kind not in (kinds := self._kinds()):
            raise BadRequest(f"A server of kind {kind!r} cannot be added; these can: {', '.join(kinds)}.", param="kind")
        async with self._changing:
            backend = await self._add(kind=kind, url=url, name=name or self._registry.free_name(kind), api_key=api_key)
        await self._registry.refresh()
        for status in self.status():
            if status["name"] == backend.name:
                return status
        raise NotFound(f"The model server {backend.name!r} was removed again meanwhile.", param="name")

    async def _add(self, *, kind: str, url: str, name: str, api_key: str | None) -> Backend:
        """Remember it, then use it: what could not be remembered, with its key, is not there at all."""
        try:
            backend = self._create(kind=kind, url=url, name=name, api_key=api_key)
        except SettingsError as error:
            raise BadRequest(error.message, param="url") from error
        self._registry.check_free(backend.name)
        server = {"kind": kind, "url": url, "name": backend.name}
        kinds = self._kinds()
        await self._saved.add(server, over=lambda known: known["kind"] not in kinds)
        try:
            await asyncio.to_thread(self._secrets.set, _secret(backend.name), api_key)
        except PortalError:
            await self._saved.remove(backend.name)
            raise
        self._registry.add(backend, source="page")
        self._in_use[backend.name] = server, self._secrets.get(_secret(backend.name))
        for status in self._registry.status():
            if status.source == "found" and place(status.url) == place(backend.url):
                await self._registry.remove(status.name)
        return backend

    async def remove(self, name: str) -> None:
        """Forget a server that was added this way.

        Raises:
            NotFound: there is none of that name.
            Conflict: it comes from the settings or was found, so it would be back.
        """
        async with self._changing:
            source = next((status.source for status in self._registry.status() if status.name == name), None)
            if source is None and any(known["name"] == name for known in await self._saved.all()):
                return await self._let_go(name)  # one that cannot be used any more
            if source is None:
                raise NotFound(f"There is no model server called {name!r}.", param="name")
            if source != "page":
                raise Conflict(f"The model server {name!r} was not added here; take it out of the settings.")
            await self._let_go(name)
            await self._forgotten(name)

    async def _let_go(self, name: str) -> None:
        """Its key first: once its entry is gone, another Portal may add one of that name, with a key of its own."""
        await asyncio.to_thread(self._secrets.set, _secret(name), None)
        await self._saved.remove(name)


def _secret(name: str) -> str:
    return f"backend:{name}"
