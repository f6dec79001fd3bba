"""The model servers, put together: of the settings, of the page, of discovery, and the built-in ones."""

from collections.abc import Callable, Sequence

from portal.app.ground import Ground
from portal.backends.embedder import EmbedderBackend
from portal.backends.guide import GuideBackend
from portal.backends.kinds import create_backend, server_kinds
from portal.backends.manual import packaged_manual
from portal.backends.presets import presets
from portal.core.passages import Embedder
from portal.core.ports import Backend
from portal.knowledge import minilm
from portal.routing.discovery import candidates
from portal.routing.registry import Registry
from portal.routing.servers import ModelServers
from portal.settings import Settings


async def open_servers(ground: Ground, given: Sequence[Backend] | None, own: Embedder | None) -> ModelServers:
    """Those of settings, page and discovery, and the built-in ones; `given` are in their place."""
    servers = ModelServers(
        registry=ground.registry,
        router=ground.router,
        create=_create(ground.settings),
        kinds=server_kinds,
        presets=lambda: [preset.view() for preset in presets().values()],
        key_values=ground.storage.key_values,
        secrets=ground.secrets,
    )
    ground.cluster.renew({"models.changed": servers.again})
    await _fill(ground.registry, servers, ground.settings, given, own)
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
            registry.add(
                made,
                source="settings",
                max_concurrency=server.max_concurrency,
                across_servers=server.across_servers,
            )
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
