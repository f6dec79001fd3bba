"""The models, put together: their servers, and the choice between them."""

from collections.abc import Callable, Mapping, Sequence

from portal.backends.embedder import EmbedderBackend
from portal.backends.guide import GuideBackend
from portal.backends.kinds import create_backend, server_kinds
from portal.backends.manual import packaged_manual
from portal.backends.presets import presets
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.gate import Patience
from portal.core.passages import Embedder
from portal.core.ports import Backend
from portal.core.terms import Bounding
from portal.knowledge import minilm
from portal.routing.catalogue import Catalogue
from portal.routing.classifier import packaged_classifier
from portal.routing.consultant import Consultant
from portal.routing.discovery import candidates
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.rules import Rule
from portal.routing.servers import ModelServers
from portal.routing.workspaces import Workspaces, workspace
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.storage.open import Storage


async def open_servers(
    settings: Settings,
    storage: Storage,
    registry: Registry,
    router: Router,
    given: Sequence[Backend] | None,
    own: Embedder | None,
) -> ModelServers:
    """Those of settings, page and discovery, and the built-in ones; `given` are in their place."""
    servers = ModelServers(
        registry=registry,
        router=router,
        create=_create(settings),
        kinds=server_kinds,
        presets=lambda: [preset.view() for preset in presets().values()],
        key_values=storage.key_values,
        secrets=SecretFile(settings.data_dir / "secrets.json"),
    )
    await _fill(registry, servers, settings, given, own)
    return servers


def _create(settings: Settings) -> Callable[..., Backend]:
    def create(*, kind: str, url: str, name: str, api_key: str | None) -> Backend:
        return create_backend(kind=kind, url=url, name=name, api_key=api_key, settings=settings)

    return create


async def _fill(
    registry: Registry,
    servers: ModelServers,
    settings: Settings,
    given: Sequence[Backend] | None,
    own: Embedder | None,
) -> None:
    """Put every backend into the registry: the settings', the page's, those worth a look, the built-in ones."""
    create = _create(settings)
    for backend in given or ():
        registry.add(backend, source="settings")
    if given is None:
        for server in settings.backends:
            name = server.name or registry.free_name(server.kind)
            key = server.api_key.get_secret_value() if server.api_key else None
            made = create(kind=server.kind, url=server.url, name=name, api_key=key)
            registry.add(made, source="settings", max_concurrency=server.max_concurrency)
    await servers.restore()
    if given is None:
        in_use = [status.url for status in registry.status()]
        for place in candidates(settings, in_use):
            name = registry.free_name(place.name)
            registry.add(create(kind=place.kind, url=place.url, name=name, api_key=None), source="found")
    if own is not None:
        name = registry.free_name("embedder")
        made = EmbedderBackend(embedder=own, model=minilm.MODEL, tokens=minilm.TOKENS, name=name)
        registry.add(made, source="built-in")
    present = {status.kind for status in registry.status()}
    if "embedded" not in present:  # the settings may name it themselves
        name = registry.free_name("embedded")
        registry.add(create(kind="embedded", url="", name=name, api_key=None), source="built-in")
    if "guide" not in present:
        guide = GuideBackend(manual=packaged_manual(), name=registry.free_name("guide"), embedder=own)
        registry.add(guide, source="built-in")


async def open_routing(
    settings: Settings, storage: Storage, registry: Registry, completions: Completions, bus: Bus, bounding: Bounding
) -> tuple[Router, Catalogue]:
    """What chooses models, and the workspaces that people make."""
    written = settings.workspaces.items()
    workspaces = Workspaces(workspace(name, one.model_dump(), source="settings") for name, one in written)
    router = _router(settings, registry, workspaces, completions, bounding)
    catalogue = Catalogue(
        workspaces=workspaces,
        router=router,
        saved=storage.workspaces,
        completions=completions,
        on_change=lambda: bus.publish(None, "workspaces.changed"),
    )
    await catalogue.restore()
    return router, catalogue


def _router(
    settings: Settings, registry: Registry, workspaces: Workspaces, completions: Completions, bounding: Bounding
) -> Router:
    rules = [Rule(name=name, **rule.model_dump()) for name, rule in settings.rules.items()]
    asked = settings.classifier
    consultant = Consultant(registry=registry, completions=completions, model=asked.model, deadline=asked.deadline)
    return Router(
        registry=registry,
        judge=packaged_classifier if asked.enabled else None,
        consultant=consultant if asked.model else None,
        workspaces=workspaces,
        rules=sorted(rules, key=lambda rule: -rule.priority),
        default_model=settings.default_model,
        bounding=bounding,
        patience=Patience(
            retries=settings.faults.retries,
            pause=settings.faults.retry_pause,
            deadline=settings.faults.retry_deadline,
            fallbacks=settings.faults.fallbacks,
        ),
    )


def answering_servers(registry: Registry) -> Mapping[str, bool]:
    """Which model servers answer, of those that are there; usual places where nobody was ever found are not."""
    known = (one for one in registry.status() if one.status != "waiting" or one.models)
    return {one.name: one.status == "up" or one.models > 0 for one in known}
