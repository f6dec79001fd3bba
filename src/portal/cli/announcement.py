"""What a person is told when Portal has started."""

from collections.abc import Callable
from typing import Any

from portal.cli.client import Client
from portal.cli.running import noteworthy

SHOWN_MODELS = 6
GUIDE_MODEL = "portal-guide"
FIRST_RUN = """\
  No model server was found. Three ways to get one; Portal notices it by itself:
    1. Install Ollama and pull a model with it
    2. Point at a server you have:  {name} backends add openai_compatible http://HOST:PORT
    3. Use the embedded engine:     {name} models install-engine
  Until then, ask the guide:        {name} ask --model portal-guide "How do I add a model?"
"""


def announce(
    client: Client, *, version: str, data_dir: str, called_as: str, stop: str, say: Callable[[str], None]
) -> bool:
    """Say where Portal is, with a sign-in link and a key, at once; then what models were found, and whether a model is
    there to chat with."""
    say(f"\nPortal {version} is running.\n")
    say(f"  Page     {client.send('POST', '/portal/v1/links')['url']}")
    say(f"           (signs one browser in, once; `{called_as} link` makes another)")
    say(f"  API      {client.url}/v1")
    say(f"  Key      {_key(client, called_as)}")
    say(f"  Data     {data_dir}")
    client.send("POST", "/portal/v1/models/refresh")
    seen = client.get("/portal/v1/models")
    for line in models_found(seen, called_as):
        say(line)
    say(f"  Stop     {stop}\n")
    return has_model(seen)


def _key(client: Client, called_as: str) -> str:
    """A first key where there is none, else how to make one."""
    if client.get("/portal/v1/keys")["data"]:
        return f"one you made before, or a new one: {called_as} keys create NAME"
    made = client.send("POST", "/portal/v1/keys", {"name": "default"})
    return f"{made['key']}   (shown only this once)"


def models_found(seen: dict[str, Any], called_as: str) -> list[str]:
    """Lines for what the model servers offer, or for how to get one."""
    lines = []
    for backend in noteworthy(seen["backends"]):
        said = _offer(seen, backend) if backend["status"] == "up" else backend["error"] or backend["status"]
        lines.append(f"  Models   {_place(backend)}: {said}")
    return lines or FIRST_RUN.format(name=called_as).rstrip("\n").split("\n")


def found_by_now(seen: dict[str, Any]) -> str:
    """The model servers that have something, in one line."""
    there = [one for one in noteworthy(seen["backends"]) if one["status"] == "up" and one["models"]]
    return "; ".join(f"{_place(backend)}: {_offer(seen, backend)}" for backend in there)


def _place(backend: dict[str, Any]) -> str:
    return f"{backend['name']} {backend['url']}".rstrip()


def _offer(seen: dict[str, Any], backend: dict[str, Any]) -> str:
    names = [model["id"] for model in seen["data"] if model["backend"] == backend["name"]]
    more = f" and {len(names) - SHOWN_MODELS} more" if len(names) > SHOWN_MODELS else ""
    return ", ".join(names[:SHOWN_MODELS]) + more or "no models yet"


def has_model(seen: dict[str, Any]) -> bool:
    """Is there a model to chat with, beside the guide? In the cloud as well, where it answers only by its name."""
    return any("chat" in model["capabilities"] and model["id"] != GUIDE_MODEL for model in seen["data"])


def answers_by_itself(seen: dict[str, Any]) -> bool:
    """Is there a model behind `auto`, beside the guide?"""
    return bool(seen["auto"]) and seen["auto"]["model"] != GUIDE_MODEL
