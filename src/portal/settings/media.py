"""Settings of pictures, video and music: which engines there are, and their bounds."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from portal.settings.section import Seconds, Section


class MediaEngineSettings(Section):
    """One engine, `[[media.engines]]`."""

    kind: Literal["comfyui", "openai_images", "openai_music"] = Field(
        description="comfyui; openai_images, a server with /v1/images/generations; or openai_music, one whose "
        "/v1/audio/speech makes music."
    )
    url: str = Field(min_length=1, description="Its address, such as http://127.0.0.1:8188, with or without /v1.")
    name: str = Field("", description="A name of your choice; the kind, numbered when needed, by default.")
    api_key: SecretStr | None = Field(None, description="Key sent to this server, where it wants one.")
    models: tuple[str, ...] = Field(
        (), description="Models of an OpenAI-compatible server that are offered; it is asked for its list by default."
    )

    @field_validator("url")
    @classmethod
    def _whole_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address, such as http://127.0.0.1:8188")
        return url


class MediaSettings(Section):
    """Pictures, video and music."""

    engines: tuple[MediaEngineSettings, ...] = Field(
        (), description="Programs that make them; ComfyUI at its usual port of this machine is found by itself."
    )
    workflows: Path | None = Field(
        None, description="Folder of workflows of your own; `workflows` in the data folder by default."
    )
    parallel: int = Field(1, gt=0, description="Jobs that engines are given at once.")
    timeout: Seconds = Field(7200, description="Seconds after which a job that is not done is given up.")
    patience: Seconds = Field(60, description="Seconds for which an engine that went away in mid-job is waited for.")
    max_pixels: int = Field(
        64_000_000, gt=0, description="Width times height of the largest picture that is taken or kept."
    )
    max_bytes: int = Field(512 * 2**20, gt=0, description="Bytes of the largest file that an engine may bring.")

    @field_validator("engines")
    @classmethod
    def _names_once(cls, engines: tuple[MediaEngineSettings, ...]) -> tuple[MediaEngineSettings, ...]:
        named = [one.name for one in engines if one.name]
        twice = next((one for one in named if named.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"two engines are named {twice!r}")
        return engines
