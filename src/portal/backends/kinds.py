"""The name in the configuration is the module: kind `ollama` is `backends/ollama.py` and its `create`."""

import importlib
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import TypeAlias

from pydantic import SecretStr

from portal.backends.presets import KIND, presets
from portal.core.ports import Backend
from portal.errors import SettingsError
from portal.settings import BackendSettings, Settings

Create: TypeAlias = Callable[[BackendSettings, Settings], Backend]

BUILT_IN = ("ollama", "openai_compatible", "embedded", "guide", "scripted")
SERVERS = ("ollama", "openai_compatible")
"""Those that are programs with an address, apart from Portal."""
PLUGINS = "portal.backends"
"""The entry-point group of kinds that other packages bring; each names a `create(server, settings)`."""


def server_kinds() -> Sequence[str]:
    """The kinds of which a server can be added by its address: not the parts of Portal itself."""
    return [*SERVERS, *presets(), *_plugins()]


def create_backend(
    *, kind: str, url: str = "", name: str = "", settings: Settings, api_key: str | None = None
) -> Backend:
    """A backend of this kind, not yet asked anything.

    Raises:
        SettingsError: the kind is not known, or it cannot be made of these values.
    """
    key = SecretStr(api_key) if api_key else None
    known = presets().get(kind)
    if known is not None:
        kind, url, name = KIND, url or known.url, name or known.name
    return backend_from(BackendSettings(kind=kind, url=url, name=name, api_key=key), settings)


def backend_from(server: BackendSettings, settings: Settings) -> Backend:
    """The same from one entry of the settings."""
    return _create(server.kind)(server, settings)


def _create(kind: str) -> Create:
    if kind in BUILT_IN:
        create: Create = importlib.import_module(f"portal.backends.{kind}").create
        return create
    for plugin in entry_points(group=PLUGINS, name=kind):
        loaded: Create = plugin.load()
        return loaded
    known = ", ".join((*BUILT_IN, *presets(), *_plugins()))
    raise SettingsError(f"There is no kind of model server called {kind!r}. Known kinds: {known}.")


def _plugins() -> Sequence[str]:
    return sorted({plugin.name for plugin in entry_points(group=PLUGINS)} - set(BUILT_IN))
