"""Servers with OpenAI's API as engines: pictures by `/v1/images`, music by `/v1/audio/speech`.

They keep no jobs: what one was doing when Portal was stopped is lost, and said to be.
"""

import asyncio
import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from portal.core.items import JsonObject
from portal.core.media import MOST_PICTURES, EngineState, Kind, Picture, Recipe, Task, Value, numbered
from portal.errors import MediaError, MediaMissing, MediaRefused
from portal.media import content
from portal.media.wire import Wire, told
from portal.settings.media import MediaSettings

_SENT = "sent"
_UNSET: Mapping[str, Value | None] = {
    "prompt": None,
    "width": None,
    "height": None,
    "count": 1,
    "quality": None,
    "background": None,
}


class OpenAIServer(ABC):
    """What both have in common."""

    kind: ClassVar[str]
    makes: ClassVar[Kind]
    inputs: ClassVar[Mapping[str, Value | None]]
    pictures: ClassVar[Sequence[str]] = ()

    def __init__(
        self,
        *,
        name: str,
        url: str,
        settings: MediaSettings,
        local: bool,
        models: Sequence[str] = (),
        api_key: str = "",
    ) -> None:
        """`models` are offered; with none the server is asked for its own."""
        self.name = name
        self.local = local
        self._wire = Wire(name=name, url=url.rstrip("/").removesuffix("/v1"), api_key=api_key)
        self._settings = settings
        self._models = models

    async def recipes(self) -> Sequence[Recipe]:
        """See MediaEngine."""
        try:
            known = await self._listed()
        except MediaError as error:
            names = self._models or (self.name,)
            return [self._recipe(model, needs=f"{error.message}. Start it, or mend its address.") for model in names]
        needs = {one: f"{self.name} has no model {one!r}." for one in self._models if known and one not in known}
        return [self._recipe(model, needs=needs.get(model, "")) for model in self._models or known]

    async def make(self, task: Task) -> Sequence[Picture]:
        """See MediaEngine."""
        if task.engine_job:
            raise MediaError(
                f"Portal was stopped while {self.name} worked, and it keeps no jobs: order it again.",
                code="outcome_unknown",
            )
        await task.begun(_SENT)
        task.progress(0, f"{self.name} is at work")
        return [await asyncio.to_thread(self._checked, data) for data in await self._made(task)]

    async def stop(self, engine_job: str) -> None:  # noqa: B027 -- closing the connection is all there is
        """See MediaEngine. It stops when the connection is closed."""

    async def state(self) -> EngineState:
        """See MediaEngine."""
        problem = ""
        try:
            await self._listed()
        except MediaError as error:
            problem = error.message
        return EngineState(name=self.name, kind=self.kind, url=self._wire.url, reachable=not problem, problem=problem)

    async def aclose(self) -> None:
        """See MediaEngine."""
        await self._wire.aclose()

    @abstractmethod
    async def _made(self, task: Task) -> Sequence[bytes]:
        """What the server makes."""

    def _recipe(self, model: str, *, needs: str) -> Recipe:
        return Recipe(
            name=model,
            title=model,
            kind=self.makes,
            engine=self.name,
            inputs=self.inputs,
            pictures=self.pictures,
            ready=not needs,
            needs=needs,
        )

    def _checked(self, data: bytes) -> Picture:
        found = content.read(data, max_pixels=self._settings.max_pixels)
        if found.kind != self.makes:
            raise MediaError(f"{self.name} sent {found.content_type}.", code="engine_failed")
        return Picture(data=found.data, content_type=found.content_type, name=f"result.{found.ending}")

    async def _listed(self) -> Sequence[str]:
        status, answer = await self._wire.json("GET", "/v1/models")
        if status == 404:  # small servers have no list
            return ()
        data = answer.get("data") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(data, list):
            raise self._wire.away(told(status, answer, self.name))
        return [str(one["id"]) for one in data if isinstance(one, dict) and "id" in one]

    def _failed(self, status: int, answer: Any) -> MediaError:
        message = told(status, answer, self.name)
        if status == 404:
            return MediaMissing(f"{message}. Ask the server for its models, and name one in `models`.")
        if "out of memory" in message.lower():
            return MediaError(f"{message}. Ask for a smaller size or fewer at once.", code="out_of_memory")
        return MediaRefused(message) if 400 <= status < 500 else MediaError(message, code="engine_failed")


class ImageServer(OpenAIServer):
    """Pictures."""

    kind = "openai_images"
    makes = "image"
    inputs = _UNSET
    pictures = ("image", "mask", *(numbered("image", at) for at in range(2, MOST_PICTURES + 1)))

    async def _made(self, task: Task) -> Sequence[bytes]:
        fields = _fields(task)
        status, answer = await self._asked(task, {**fields, "response_format": "b64_json"})
        if status == 400 and "response_format" in str(answer):  # newer models of OpenAI's have no choice
            status, answer = await self._asked(task, fields)
        if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise self._failed(status, answer)
        return [await self._bytes(one) for one in answer["data"]]

    async def _asked(self, task: Task, fields: JsonObject) -> tuple[int, Any]:
        seconds = self._settings.timeout
        if not task.pictures:
            return await self._wire.json("POST", "/v1/images/generations", json=fields, seconds=seconds)
        form = self._wire.form()
        for name, value in fields.items():
            form.add_field(name, str(value))
        several = "image2" in task.pictures
        for name, picture in task.pictures.items():
            field = "image[]" if several and name != "mask" else name
            form.add_field(field, picture.data, filename=f"{name}.png", content_type=picture.content_type)
        return await self._wire.json("POST", "/v1/images/edits", data=form, seconds=seconds)

    async def _bytes(self, one: Any) -> bytes:
        """Of base64, or fetched from this very server: where else an address leads is not this engine's to say."""
        url = one.get("url") if isinstance(one, dict) else None
        if isinstance(url, str) and not one.get("b64_json"):
            parts = urlsplit(url)
            if parts.netloc and f"{parts.scheme}://{parts.netloc}" != self._wire.url:
                raise MediaError(f"{self.name} put its picture at another server; it is not fetched from there.")
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            async with self._wire.request("GET", path) as response:
                return await self._wire.body(response, self._settings.max_bytes)
        try:
            return base64.b64decode(one["b64_json"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise MediaError(f"{self.name} sent no picture.", code="engine_failed") from error


class MusicServer(OpenAIServer):
    """Music."""

    kind = "openai_music"
    makes = "music"
    inputs: ClassVar[Mapping[str, Value | None]] = {"prompt": None, "lyrics": None, "seconds": None, "seed": None}

    async def _made(self, task: Task) -> Sequence[bytes]:
        more = {"lyrics": "lyrics", "seconds": "duration", "seed": "seed"}
        body: JsonObject = {"model": task.recipe, "input": task.values.get("prompt", ""), "voice": "default"}
        body |= {name: task.values[key] for key, name in more.items() if key in task.values}
        seconds = self._settings.timeout
        async with self._wire.request("POST", "/v1/audio/speech", json=body, seconds=seconds) as response:
            data = await self._wire.body(response, self._settings.max_bytes)
            if response.status != 200:
                raise self._failed(response.status, data[:2000].decode("utf-8", "replace"))
        return [data]


def _fields(task: Task) -> JsonObject:
    values = task.values
    fields: JsonObject = {"model": task.recipe, "prompt": values.get("prompt", ""), "n": values.get("count", 1)}
    if "width" in values and "height" in values:
        fields["size"] = f"{values['width']}x{values['height']}"
    return fields | {name: values[name] for name in ("quality", "background") if name in values}
