"""What this machine computes models on (a graphics card, Apple's chip, its processor), and what suits its memory."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from portal.cli.finding import Finding
from portal.core.media import Kind as Media

if TYPE_CHECKING:
    from portal.media.workflow import Workflow

Kind: TypeAlias = Literal["nvidia", "apple", "cpu"]
_QUERY = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
_SECONDS = 10
_NONE = "its processor: there is no graphics card of NVIDIA's and no chip of Apple's"
_MADE: Mapping[Media, str] = {"image": "pictures", "video": "videos", "music": "music"}
_SHARE = {"nvidia": 1.0, "apple": 0.7, "cpu": 0.5}
"""Of the memory, what models can have: the rest is the system's."""
_CHATS = ((22, "qwen3:32b"), (11, "qwen3:14b"), (6.5, "qwen3:8b"), (3.5, "qwen3:4b"), (0, "qwen3:0.6b"))
_RECORDINGS = ((5, "large-v3"), (2.5, "medium"), (1, "small"), (0, "base"))
"""By the gigabytes that they are comfortable with."""
_PATIENCE = {"chat": 7.0, "recordings": 2.0}
"""Gigabytes beyond which a model is too slow on a processor alone."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Its best part for models."""

    kind: Kind
    name: str
    memory: float
    """Gigabytes: of the graphics card, or of all where the two are one."""

    @property
    def room(self) -> float:
        """Gigabytes that models can have."""
        return self.memory * _SHARE[self.kind]

    @property
    def chat(self) -> str:
        """A model for chats, as Ollama names it."""
        return self._fitting(_CHATS, "chat")

    @property
    def recordings(self) -> str:
        """A model of Whisper's that listens."""
        return self._fitting(_RECORDINGS, "recordings")

    def _fitting(self, models: Sequence[tuple[float, str]], what: str) -> str:
        room = min(self.room, _PATIENCE[what]) if self.kind == "cpu" else self.room
        return next(name for least, name in models if room >= least)

    def __str__(self) -> str:
        """For people."""
        return f"{self.name} with {self.memory:.3g} GB"


def this_machine(
    find: Callable[[str], str | None] = shutil.which, *, system: str = sys.platform, chip: str = ""
) -> Machine:
    """The machine that this runs on. `find` is where programs are looked for; `chip` is the processor's family."""
    cards = list(_nvidia(find("nvidia-smi")))
    if cards:
        return max(cards, key=lambda one: one.memory)
    if system == "darwin" and (chip or platform.machine()) == "arm64":
        name = _said(find("sysctl"), "-n", "machdep.cpu.brand_string").strip() or "Apple's chip"
        return Machine("apple", f"{name} (MPS and MLX)", _memory())
    return Machine("cpu", _NONE, _memory())


def suiting(kind: Media, machine: Machine) -> "Workflow | None":
    """The workflow to begin with: the first that has room; on a processor alone nothing but the smallest picture's."""
    from portal.media.library import packaged

    held = [one for one in packaged().values() if one.kind == kind and not one.pictures]
    if machine.kind == "cpu":
        return min(held, key=lambda one: one.memory) if kind == "image" else None
    return next((one for one in held if one.memory <= machine.room), None)


def hardware_findings(machine: Machine) -> Iterator[Finding]:
    """What it is, and the models to begin with."""
    yield Finding("good", f"Models on this machine run on {machine}", check="hardware")
    made = [(what, suiting(kind, machine)) for kind, what in _MADE.items()]
    parts = [f"{one.title} for {what}" for what, one in made if one is not None]
    slow = "; without a graphics card pictures take minutes, videos and music hours" if machine.kind == "cpu" else ""
    heads = [f"{machine.chat} for chats (a name of Ollama's)", f"Whisper's {machine.recordings} for recordings"]
    yield Finding("good", f"Models that suit its memory: {', '.join([*heads, *parts])}{slow}", check="suiting_models")


def _nvidia(program: str | None) -> Iterator[Machine]:
    for line in _said(program, *_QUERY).splitlines():
        name, _, megabytes = line.rpartition(",")
        if name.strip() and megabytes.strip().isdecimal():
            yield Machine(
                "nvidia", name.strip(), round(int(megabytes) / 1024)
            )  # they tell a little less than they have


def _said(program: str | None, *options: str) -> str:
    """What a program says; nothing where it is not there or fails."""
    if program is None:
        return ""
    try:
        done = subprocess.run([program, *options], capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _memory() -> float:
    import psutil

    return float(psutil.virtual_memory().total) / 2**30
