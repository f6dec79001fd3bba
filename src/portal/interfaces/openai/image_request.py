"""What requests for pictures bring, checked, and as the order that they are."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from portal.core.media import ANY_RECIPE, Order, Value, numbered
from portal.errors import BadRequest
from portal.interfaces.openai.schema import Background, PictureQuality, PictureSize
from portal.interfaces.openai.validation import Checked, check

_NAMED = {
    "negative_prompt": "negative",
    "negative": "negative",
    "seed": "seed",
    "steps": "steps",
    "guidance": "guidance",
    "strength": "strength",
}
"""Fields beyond OpenAI's, as local programs send them."""
_NUMBERS = {
    "n": int,
    "output_compression": int,
    "partial_images": int,
    "seed": int,
    "steps": int,
    "guidance": float,
    "strength": float,
}


class CreateImage(Checked):
    """A picture to be made. `inputs` are further named inputs of the workflow."""

    prompt: Annotated[str, Field(min_length=1, max_length=32_000)]
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=10)] | None = None
    size: PictureSize | None = None
    quality: PictureQuality | None = None
    response_format: Literal["b64_json", "url"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    background: Background | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    inputs: dict[str, str | int | float | bool] | None = None

    def order(self, pictures: Mapping[str, str] | None = None) -> Order:
        """What is to be made; `pictures` are files by the name of the input."""
        more = self.model_extra or {}
        values: dict[str, Value] = {"prompt": self.prompt, "count": self.n or 1, **(self.inputs or {})}
        values |= {ours: more[name] for name, ours in _NAMED.items() if isinstance(more.get(name), str | int | float)}
        if self.size and self.size != "auto":
            values["width"], values["height"] = (int(side) for side in self.size.split("x"))
        if self.quality and self.quality not in ("auto", "standard"):
            values["quality"] = self.quality
        if self.background and self.background != "auto":
            values["background"] = self.background
        recipe = "" if self.model is None or ANY_RECIPE.fullmatch(self.model) else self.model
        return Order(kind="image", recipe=recipe, values=values, pictures=pictures or {})


class EditImage(CreateImage):
    """The same, of a picture that comes with it."""


class VaryImage(CreateImage):
    """The same without words for it."""

    prompt: Annotated[str, Field(max_length=32_000)] = ""


class Sent:
    """A form with pictures."""

    def __init__(self, form: FormData) -> None:
        self.form = form

    def body(self, model: type[CreateImage]) -> CreateImage:
        """Its fields. Raises BadRequest."""
        fields: dict[str, object] = {}
        for name, value in self.form.multi_items():
            if isinstance(value, str):
                fields[name] = _read(name, value)
        return check(model, fields)

    def pictures(self, name: str, *, most: int = 1) -> Mapping[str, UploadFile]:
        """Those of this field by the inputs that they are for: `image`, `image2`. Raises BadRequest for more."""
        found = [one for key in (name, f"{name}[]") for one in self.form.getlist(key) if isinstance(one, UploadFile)]
        if len(found) > most:
            raise BadRequest(f"Portal takes {most} as '{name}', but got {len(found)}.", param=name)
        return {numbered(name, at): one for at, one in enumerate(found, 1)}


async def read_form(request: Request) -> Sent:
    """Raises BadRequest for what is no form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequest("Pictures are sent as multipart/form-data.", code="invalid_content_type")
    try:
        return Sent(await MultiPartParser(request.headers, request.stream(), max_files=17, max_fields=40).parse())
    except MultiPartException as error:
        raise BadRequest(f"We could not parse the form of your request: {error.message}") from error


def _read(name: str, value: str) -> object:
    """A field of a form as it would be in JSON; what is no number stays a text, and is refused as one."""
    if name == "stream":
        return {"true": True, "false": False}.get(value.lower(), value)
    try:
        return _NUMBERS[name](value) if name in _NUMBERS else value
    except ValueError:
        return value
