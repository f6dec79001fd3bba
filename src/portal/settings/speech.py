"""Settings of speech: the engines that speak and listen, and what is used where nobody says."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from portal.settings.section import Section

Name = Annotated[str, Field(min_length=1, max_length=200)]


class SpeechEngineSettings(Section):
    """One engine, `[[speech.engines]]`."""

    kind: Name = Field(
        description="The kind of engine: espeak_ng, piper, faster_whisper, whisper_cpp or openai_compatible."
    )
    name: str = Field("", description="A name of your choice; the kind by default.")
    url: str = Field("", description="Its address, where it is a server.")
    api_key: SecretStr | None = Field(None, description="Key sent to it, where it wants one.")
    speech: tuple[Name, ...] = Field((), description="Models of this server that speak, such as kokoro.")
    transcription: tuple[Name, ...] = Field((), description="Models of this server that listen, such as whisper-1.")
    clones: bool = Field(
        False,
        description="Whether this server imitates the voice of a recording that comes with the text (`ref_audio`), as "
        "vLLM's does.",
    )
    diarizes: bool = Field(
        False,
        description="Whether this server tells speakers apart (`response_format` diarized_json). Models whose names "
        "say so need no word.",
    )
    model: str = Field(
        "", description="For faster_whisper: a model by name, such as small, that is on this machine, or its folder."
    )
    program: Path | None = Field(None, description="The program, where it is not in the path.")
    folder: Path | None = Field(None, description="For piper: the folder of its voices (.onnx beside .onnx.json).")
    device: str = Field("auto", description="For faster_whisper: cpu, cuda or auto.")
    compute_type: str = Field("default", description="For faster_whisper: such as int8 or float16.")


class SpeechSettings(Section):
    """Speaking and listening. What is installed or served is found by itself; engines are named where it is not."""

    engines: tuple[SpeechEngineSettings, ...] = Field((), description="Engines beside those found by themselves.")
    model: str = Field("", description="The model that speaks where nobody names one; empty takes the first there is.")
    voice: str = Field("", description="The voice where nobody names one; empty leaves it to the engine.")
    transcription: str = Field(
        "", description="The model that listens where nobody names one; empty takes the first there is."
    )
    language: str = Field(
        "", description="The language of recordings where nobody names one, such as en; empty lets the engine hear it."
    )
    longest: int = Field(100_000, gt=0, description="Characters of a text that is spoken, at most.")
    replies: Literal["never", "voice", "always"] = Field(
        "never",
        description="Whether answers in chat platforms are spoken as well: never, to a voice message, or always.",
    )
