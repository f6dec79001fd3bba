"""Pictures, videos and music: what is ordered, the jobs that make it, and the ports that keep and do them."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from portal.core.items import JsonObject
from portal.core.records import Page
from portal.errors import MediaError, MediaMissing, MediaRefused, MediaUnavailable

Kind: TypeAlias = Literal["image", "video", "music"]
KINDS: tuple[Kind, ...] = ("image", "video", "music")
JobStatus: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[JobStatus] = frozenset({"done", "failed", "cancelled"})
Value: TypeAlias = str | int | float | bool
"""What a named input of a recipe takes; of one for a picture, the file's id."""
MOST_PICTURES = 16
"""To begin with, as OpenAI has it."""
ANY_RECIPE = re.compile(r"dall-e-.*|gpt-image-.*|chatgpt-image-.*|auto|auto-image|default")
"""Names of models that clients send when they mean the best there is."""


def numbered(name: str, at: int) -> str:
    """The input for the picture at this place: `image`, `image2`, `image3`."""
    return name if at == 1 else f"{name}{at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way of an engine's to make something: a workflow, or a model of an image server."""

    name: str
    """Unique in an installation, such as `flux-schnell`."""
    title: str
    kind: Kind
    engine: str
    inputs: Mapping[str, Value | None] = field(default_factory=dict)
    """Names of what can be set, with what it is otherwise, as far as that is known."""
    pictures: Sequence[str] = ()
    """Names of the inputs that take a picture: `image`, `image2`, `mask`."""
    needed: Sequence[str] = ()
    """Pictures among them without which it cannot begin."""
    ready: bool = True
    needs: str = ""
    """Where it is not ready: what is missing, and the step that mends it."""
    memory: float = 0
    """Gigabytes of graphics memory that it is comfortable with; 0 where nobody said."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants made."""

    kind: Kind
    recipe: str = ""
    """Empty takes the first that is ready and has the pictures' inputs."""
    values: Mapping[str, Value] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    """File ids by the name of the input."""
    call_id: str = ""
    """The tool call that it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaJob:
    """One order on its way, or what came of it."""

    id: str
    """`media_...`"""
    owner: str
    kind: Kind
    recipe: str
    engine: str
    status: JobStatus = "queued"
    values: Mapping[str, Value] = field(default_factory=dict)
    """Its seed among them, so that it can be made again."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    engine_job: str = ""
    """By which the engine knows it: found again after a restart."""
    progress: float = 0
    detail: str = ""
    error: str = ""
    code: str = ""
    """What kind of error, such as `out_of_memory`."""
    results: Sequence[JsonObject] = ()
    """Files: {file_id, filename, content_type, size}, pictures with width and height."""
    call_id: str = ""
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None

    @property
    def prompt(self) -> str:
        """What it was asked for."""
        return str(self.values.get("prompt", ""))

    @property
    def problem(self) -> MediaError | None:
        """Why nothing came of it; None for one that is done, or still under way."""
        if self.status not in ("failed", "cancelled"):
            return None
        kind = {MediaRefused.code: MediaRefused, MediaMissing.code: MediaMissing}.get(self.code, MediaError)
        kind = MediaUnavailable if self.code == MediaUnavailable.code else kind
        return kind(self.error or "The job was stopped.", code=self.code or self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Bytes with their kind: a source, a preview, a result."""

    data: bytes
    content_type: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is."""

    job: MediaJob
    preview: Picture | None = None
    previews: int = 0
    """How many there were: a new number is a new picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A job as an engine gets it, and where it tells how far it is."""

    recipe: str
    values: Mapping[str, Value]
    pictures: Mapping[str, Picture]
    engine_job: str = ""
    """What the engine called it before a restart; empty for one that never began."""
    begun: Callable[[str], Awaitable[None]]
    """Awaited with the engine's own id, before or as soon as the engine has the work."""
    progress: Callable[[float, str], None]
    preview: Callable[[Picture], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """An engine and its hardware."""

    name: str
    kind: str
    url: str
    reachable: bool
    version: str = ""
    device: str = ""
    """Such as `cuda:0 NVIDIA GeForce RTX 4090`, `mps`, `cpu`."""
    memory: float = 0
    """Gigabytes of graphics memory, or of memory where the two are one."""
    problem: str = ""


class MediaEngine(Protocol):
    """A program that makes pictures, videos or music."""

    name: str
    local: bool
    """Whether it is on this machine or network: nothing leaves it and nothing is paid."""

    async def recipes(self) -> Sequence[Recipe]:
        """What it can make, ready or not. Never fails: an engine that is away has recipes that say so."""

    async def make(self, task: Task) -> Sequence[Picture]:
        """Make it, or wait for what it was making before a restart. Cancelled, it leaves the engine at work.

        Raises:
            MediaError: it cannot be made; the message says why and what helps.
        """

    async def stop(self, engine_job: str) -> None:
        """Let the engine stop that work, if it has it. Never fails."""

    async def state(self) -> EngineState:
        """Whether it answers, and on what it runs. Never fails."""

    async def aclose(self) -> None:
        """Release connections."""


class MediaJobs(Protocol):
    """Jobs, by owner."""

    async def add(self, job: MediaJob) -> None:
        """Put into the queue."""

    async def get(self, owner: str, job_id: str) -> MediaJob:
        """Raises NotFound."""

    async def list(
        self,
        owner: str,
        *,
        kind: Kind | None = None,
        status: JobStatus | None = None,
        call_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[MediaJob]:
        """Newest first. Raises BadRequest for a cursor of another list."""

    async def cancel(self, owner: str, job_id: str, now: int) -> MediaJob:
        """From here on it is cancelled. Raises NotFound, or Conflict where it had ended."""

    async def delete(self, owner: str, job_id: str) -> None:
        """Forget one that has ended; its files stay. Raises NotFound, or Conflict while it runs."""


class MediaQueue(Protocol):
    """The jobs of everybody, for the worker that does them."""

    async def claim(self, now: int, until: int) -> MediaJob | None:
        """The next that is queued, or that runs and nobody holds any more, of somebody who is not suspended: it is
        `running` and held until then."""

    async def change(self, job: MediaJob, until: int) -> bool:
        """Store how it is, if it still runs, and hold it until then; whether it does."""

    async def release(self, now: int) -> None:
        """Let go of what a server that is gone held: it is claimed next."""


class Studio(Protocol):
    """Takes orders."""

    @property
    def local(self) -> bool:
        """Whether every engine is on this machine or network."""

    @property
    def closing(self) -> bool:
        """Whether the server is about to end: whoever stops waiting then does not mean that the job should stop."""

    @property
    def patience(self) -> float:
        """Seconds after which a job that is not done is given up."""

    async def recipes(self, kind: Kind | None = None) -> Sequence[Recipe]:
        """What can be made, what is ready first."""

    async def order(self, owner: str, order: Order) -> Sequence[MediaJob]:
        """Queue it: one job, or as many as the count says where the recipe makes one at a time. Of the usual values
        those that the recipe has no use for are left out.

        Raises:
            MediaUnavailable: nothing here makes this; says what to install.
            NotFound: there is no such recipe or picture.
            BadRequest: it has no such input, or a picture is none.
        """

    def follow(self, owner: str, job_id: str) -> AsyncIterator[Progress]:
        """How far it is, again and again, until it has ended. Raises NotFound."""

    async def cancel(self, owner: str, job_id: str) -> MediaJob:
        """Stop it. Raises NotFound, or Conflict where it had ended."""
