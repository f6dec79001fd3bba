"""Puts changed settings in force while Portal runs: first each kind is made, then all are put in place."""

import itertools
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from portal.app.agent import Brain, bounds_of
from portal.app.ground import Ground
from portal.app.people import allowed_by
from portal.app.policies import policies_of
from portal.app.rights import roles_of
from portal.app.routing import judging, patience_of, rules_of, written
from portal.backends.kinds import create_backend
from portal.core.ports import Backend
from portal.errors import SettingsError, StorageError
from portal.observability.levels import Levels
from portal.routing.registry import Registry
from portal.security.admission import Admission
from portal.security.forwarded import TrustedProxies
from portal.security.throttle import Throttle
from portal.settings import BackendSettings, Settings

log = logging.getLogger(__name__)

Commit: TypeAlias = Callable[[], Awaitable[None]]
"""Puts what was made in its place; it does not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What settings are put into."""

    ground: Ground
    brain: Brain
    admission: Admission
    throttle: Throttle
    servers: dict[BackendSettings, str]
    """Of the settings, and under which name each is there."""
    aliases: dict[str, str]
    """Of Anthropic's clients, as its routes read them."""
    levels: Levels

    def prepare(self, new: Settings, names: Sequence[str]) -> Sequence[Commit]:
        """Make what these settings, which differ from those in force, are about. Raises SettingsError, and nothing has
        changed then."""
        wanted = {kind for name in names for kind in _MADE_OF if name == kind or name.startswith(f"{kind}.")}
        return [made(self, new) for kind, made in _MADE_OF.items() if kind in wanted]

    # ------------------------------------------------------------------ one for each kind

    def _routing(self, new: Settings) -> Commit:
        workspaces, rules = written(new), rules_of(new)
        patience = patience_of(new, self.ground.observing.meters.retried)
        judge, consultant = judging(new, self.ground.registry, self.ground.completions)

        async def commit() -> None:
            ground = self.ground
            ground.catalogue.write(workspaces)
            ground.router.tune(rules=rules, default_model=new.default_model, patience=patience)
            ground.router.ask(judge=judge, consultant=consultant)
            ground.registry.tune(interval=new.discovery.interval, faults=new.faults)

        return commit

    def _backends(self, new: Settings) -> Commit:
        """Those that are new or changed are made; names of others stay theirs."""
        registry = self.ground.registry
        gone = [one for one in self.servers if one not in new.backends]
        left = {one.name for one in registry.status() if one.source != "found"} - {self.servers[one] for one in gone}
        made: dict[BackendSettings, Backend] = {}
        for one in new.backends:
            if one in self.servers and one not in gone:
                continue
            name = one.name or _free(one.kind, left)
            if name in left or one in made:
                raise SettingsError(f"backends: there is a model server called {name!r} already")
            left.add(name)
            made[one] = _made(one, name, new)

        async def commit() -> None:
            for one in gone:
                await registry.remove(self.servers.pop(one))
            for one, backend in made.items():
                await _make_room(registry, backend)
                registry.add(
                    backend,
                    source="settings",
                    max_concurrency=one.max_concurrency,
                    across_servers=one.across_servers,
                )
                self.servers[one] = backend.name

        return commit

    def _policies(self, new: Settings) -> Commit:
        policies, bounds = policies_of(new), bounds_of(new)

        async def commit() -> None:
            self.ground.rules.write(policies, web=new.tools.web)
            self.brain.loop.bounds = bounds
            self.brain.toolbox.offered = new.tools.offered

        return commit

    def _doors(self, new: Settings) -> Commit:
        server, proxies, allowed = new.server, TrustedProxies(new.server.trusted_proxies), allowed_by(new)

        async def commit() -> None:
            self.admission.write(
                allowed_hosts=server.allowed_hosts, allowed_origins=server.allowed_origins, proxies=proxies
            )
            self.throttle.allowed = allowed

        return commit

    def _people(self, new: Settings) -> Commit:
        roles = roles_of(new)

        async def commit() -> None:
            try:
                await self.ground.rights.write(roles, self.ground.storage.people)
            except StorageError as error:
                log.warning("changed roles hold for each person from their next sign-in on: %s", error)

        return commit

    def _files(self, new: Settings) -> Commit:
        async def commit() -> None:
            self.ground.storage.files.write(quota=new.files.quota, keep_days=new.files.keep_days)

        return commit

    def _aliases(self, new: Settings) -> Commit:
        async def commit() -> None:
            self.aliases.clear()
            self.aliases.update(new.anthropic.aliases)

        return commit

    def _log(self, new: Settings) -> Commit:
        wanted = Levels(new.log.level, new.log.levels)

        async def commit() -> None:
            self.levels.take(wanted)

        return commit


def looked_at(settings: Settings) -> None:
    """Make all that settings alone make, as a start would. Raises SettingsError, BadRequest."""
    written(settings)
    rules_of(settings)
    policies_of(settings)
    roles_of(settings)
    TrustedProxies(settings.server.trusted_proxies)
    Levels(settings.log.level, settings.log.levels)
    for one in settings.backends:
        _made(one, one.name or one.kind, settings)


def servers_of(registry: Registry, settings: Settings) -> dict[BackendSettings, str]:
    """Those of the settings and their names, right after the start."""
    names = [one.name for one in registry.status() if one.source == "settings"]
    return dict(zip(settings.backends, names, strict=False))  # tests bring others in their place


def _free(kind: str, taken: Collection[str]) -> str:
    numbered = (f"{kind}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([kind], numbered) if name not in taken)


def _made(one: BackendSettings, name: str, settings: Settings) -> Backend:
    key = one.api_key.get_secret_value() if one.api_key else None
    return create_backend(kind=one.kind, url=one.url, name=name, api_key=key, settings=settings)


async def _make_room(registry: Registry, backend: Backend) -> None:
    """A server that was found by itself, and is named in the settings now, is the settings' from here on."""
    for known in registry.status():
        if known.source == "found" and (known.name == backend.name or known.url == backend.url):
            await registry.remove(known.name)


_MADE_OF: Mapping[str, Callable[[Live, Settings], Commit]] = {
    **dict.fromkeys(("workspaces", "rules", "default_model", "classifier", "faults", "discovery"), Live._routing),
    "backends": Live._backends,
    **dict.fromkeys(("policies", "tools"), Live._policies),
    **dict.fromkeys(("server", "limits"), Live._doors),
    "people": Live._people,
    "files": Live._files,
    "anthropic": Live._aliases,
    "log": Live._log,
}
