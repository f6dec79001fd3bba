"""The engines that the settings name, and ComfyUI where it usually is."""

import ipaddress
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from portal.core.media import MediaEngine
from portal.media.comfyui import ComfyUI
from portal.media.library import workflows
from portal.media.openai_server import ImageServer, MusicServer
from portal.settings.media import MediaEngineSettings, MediaSettings

USUAL = "http://127.0.0.1:8188"
_NEAR = (".local", ".lan", ".internal", ".home.arpa")


def engines(settings: MediaSettings, *, data_dir: Path, discovery: bool) -> Sequence[MediaEngine]:
    """In the order in which they are tried. With `discovery` ComfyUI at its usual port is among them, unless the
    settings name one."""
    wanted = list(settings.engines)
    if discovery and not any(one.kind == "comfyui" for one in wanted):
        wanted.append(MediaEngineSettings(kind="comfyui", url=USUAL))
    named = _named(wanted)
    folder = (settings.workflows or data_dir / "workflows").expanduser()
    return [_engine(one, name, settings, folder) for name, one in named.items()]


def _engine(one: MediaEngineSettings, name: str, settings: MediaSettings, folder: Path) -> MediaEngine:
    local, key = near(one.url), one.api_key.get_secret_value() if one.api_key else ""
    if one.kind == "comfyui":
        library = partial(workflows, folder)
        return ComfyUI(name=name, url=one.url, library=library, settings=settings, local=local, api_key=key)
    kind = ImageServer if one.kind == "openai_images" else MusicServer
    return kind(name=name, url=one.url, settings=settings, local=local, models=one.models, api_key=key)


def _named(wanted: Sequence[MediaEngineSettings]) -> dict[str, MediaEngineSettings]:
    """By their names; those without one are numbered by their kind."""
    taken, named = {one.name for one in wanted}, dict[str, MediaEngineSettings]()
    for one in wanted:
        name, number = one.name or one.kind, 2
        while not one.name and (name in taken or name in named):
            name, number = f"{one.kind}-{number}", number + 1
        named[name] = one
    return named


def near(url: str) -> bool:
    """Whether an address is on this machine or network."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_NEAR)
    return address.is_private or address.is_loopback or address.is_link_local
