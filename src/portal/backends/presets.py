"""Known servers and services that speak OpenAI's API, by name: data, so that nobody has to look up an address."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from portal.core.items import JsonObject

KIND = "openai_compatible"
"""What every preset is."""
_HERE = "http://127.0.0.1:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """`url` is where it usually is: for a program that people run themselves, on this machine."""

    name: str
    label: str
    url: str

    @property
    def cloud(self) -> bool:
        """Whether it is somebody else's computer."""
        return not self.url.startswith(_HERE)

    def view(self) -> JsonObject:
        """{name, label, url, cloud}."""
        return {"name": self.name, "label": self.label, "url": self.url, "cloud": self.cloud}


@cache
def presets() -> Mapping[str, Preset]:
    """All of them, in order."""
    text = (files("portal.backends") / "presets.toml").read_text(encoding="utf-8")
    return {name: Preset(name=name, **fields) for name, fields in tomllib.loads(text).items()}
