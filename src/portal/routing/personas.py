"""The personas that Portal brings."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from portal.core.personas import Expectation, Persona


@cache
def packaged_personas() -> Mapping[str, Persona]:
    """By name, in the file's order."""
    text = (files("portal.routing") / "personas.toml").read_text(encoding="utf-8")
    return {name: _persona(name, **fields) for name, fields in tomllib.loads(text).items()}


def _persona(name: str, *, prompt: str, expect: Mapping[str, Any], **fields: Any) -> Persona:
    checks: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in expect.items()}
    return Persona(name=name, prompt=prompt.strip(), expect=Expectation(**checks), **fields)
