"""All settings, one frozen tree. This module alone reads the environment.

Sources, strongest first: arguments (command line), `PORTAL_A__B` environment variables, a `.env` file (the one that
`PORTAL_ENV_FILE` names, else in the working directory), the TOML file (`--config`, else `portal.toml` in the data
folder), the defaults here.
The manual's configuration page is generated from the descriptions below.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as SettingsParseError

from portal.errors import SettingsError
from portal.settings.backup import BackupSettings, RetentionSettings
from portal.settings.channels import ChannelSettings
from portal.settings.data import BrowserSettings, SearchSettings, SqlSettings
from portal.settings.files import FileSettings
from portal.settings.knowledge import KnowledgeSettings
from portal.settings.lines import line_of
from portal.settings.mcp import McpSettings
from portal.settings.media import MediaSettings
from portal.settings.memory import MemorySettings
from portal.settings.people import LimitSettings, PeopleSettings
from portal.settings.schedules import ScheduleSettings
from portal.settings.section import Seconds, Section, explain
from portal.settings.slack import SlackSettings
from portal.settings.speech import SpeechSettings
from portal.settings.telegram import TelegramSettings
from portal.settings.telemetry import TelemetrySettings, standard
from portal.settings.tools import PolicySettings, SkillSettings, ToolSettings
from portal.settings.turns import FaultSettings, TurnSettings
from portal.settings.workspaces import RuleSettings, WorkspaceName, WorkspaceSettings

ENV_FILE = "PORTAL_ENV_FILE"
_OTHER_NAME = "ROUTER_TOKEN"
"""Of `ollama.token`, in the environment."""


def default_data_dir() -> Path:
    """The platform's folder for user data."""
    return Path(platformdirs.user_data_dir("portal", appauthor=False))


class ServerSettings(Section):
    """Where Portal listens and whom it answers."""

    host: str = Field("127.0.0.1", description="Address to listen on. The default is reachable from this machine only.")
    port: int = Field(8081, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names under which Portal may be reached, beside localhost and plain IP addresses "
        "(a guard against DNS rebinding).",
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="Other web origins whose pages may call the API with a key (CORS), such as https://app.example."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses and networks of proxies whose word for the client's address, scheme and host is taken "
        "(X-Forwarded-For, -Proto, -Host); for address and scheme, those on this machine are always believed.",
    )
    tls_cert: Path | None = Field(
        None, description="A certificate with its chain (PEM): Portal speaks HTTPS; a renewed file is taken by itself."
    )
    tls_key: Path | None = Field(None, description="Its private key (PEM), where it is not in the same file.")
    insecure_ok: bool = Field(
        False, description="Let Portal listen without HTTPS where the internet reaches it, or with a weak secret."
    )
    max_body: int = Field(64 * 2**20, gt=0, description="Largest request body in bytes, uploads apart.")
    max_upload: int = Field(512 * 2**20, gt=0, description="Largest uploaded file in bytes.")
    max_import: int = Field(8 * 2**30, gt=0, description="Largest export of another program to bring in, in bytes.")
    keep_alive: float = Field(
        15,
        gt=0,
        description="Seconds of silence in a streamed answer after which a sign of life goes out, so that proxies keep "
        "the connection; where the API has one.",
    )
    session_days: int = Field(90, gt=0, description="Days until a sign-in of the page ends.")
    drain_seconds: float = Field(
        5, ge=0, description="Seconds that answers under way have to be finished when Portal is stopped."
    )


class BackendSettings(Section):
    """One model server."""

    kind: str = Field(description="The kind of server: ollama, openai_compatible, embedded or an installed plug-in.")
    url: str = Field("", description="Its address, with or without /v1.")
    name: str = Field("", description="A name of your choice; the kind, numbered when needed, by default.")
    api_key: SecretStr | None = Field(None, description="Key sent to this server, where it wants one.")
    max_concurrency: int = Field(
        0, ge=0, description="Calls that run on it at once, the others wait in order; 0 for any number."
    )
    across_servers: bool = Field(
        False,
        description="Count `max_concurrency` over all servers on one PostgreSQL, whose database each call then waits "
        "for; else each server has as many.",
    )

    @model_validator(mode="after")
    def _limited(self) -> "BackendSettings":
        if self.across_servers and not self.max_concurrency:
            raise ValueError("`across_servers` counts what `max_concurrency` limits: set that, too")
        return self


class DiscoverySettings(Section):
    """How model servers are found."""

    enabled: bool = Field(True, description="Look for model servers at their usual ports on this machine.")
    interval: Seconds = Field(30, description="Seconds between two looks at every model server.")
    timeout: Seconds = Field(2, description="Seconds a model server may take to list its models.")


class ClassifierSettings(Section):
    """How `auto` finds out what a request is about."""

    enabled: bool = Field(True, description="Look at each request; without it `auto` is the best chat model there is.")
    model: str = Field(
        "", description="A small model to ask where the built-in classifier is unsure; empty asks nobody."
    )
    deadline: Seconds = Field(1.5, description="Seconds that model may take; later the built-in judgement stands.")


class OllamaSettings(Section):
    """Ollama: its API as Portal serves it, and transport options where the client left them open."""

    token: SecretStr | None = Field(
        None,
        description="Token that every call of Ollama's API (/api) must bring; its holder acts as the owner there. "
        "Also read from the environment variable ROUTER_TOKEN.",
    )
    fill_options: bool = Field(True, description="Fit num_ctx to the conversation where the client does not set it.")
    max_context: int = Field(32768, gt=0, description="Largest num_ctx Portal asks for by itself, in tokens.")
    keep_alive: str = Field(
        "", description="How long a model stays loaded, such as 30m; empty leaves it to the server."
    )


class AnthropicSettings(Section):
    """Anthropic's API, `/v1/messages`."""

    aliases: dict[str, str] = Field(
        {},
        description="Names or patterns that its clients ask for, and the model or workspace that answers, such as "
        '`{"claude-*" = "auto-coding"}`.',
    )


class EmbeddedSettings(Section):
    """The engine inside Portal (extra `embedded`)."""

    models_dir: Path | None = Field(None, description="Folder of GGUF files; `models` in the data folder by default.")
    context: int = Field(8192, gt=0, description="Context window in tokens.")
    threads: int = Field(0, ge=0, description="Threads for inference; 0 means one per core.")
    catalog: str = Field(
        "https://huggingface.co", description="Where `portal models pull owner/repo/file.gguf` fetches from."
    )


class SecretSettings(Section):
    """Secrets that Portal keeps."""

    store: Literal["file", "keyring"] = Field(
        "file",
        description="Where the sealing key is: a file of the data folder that only you can read, or the keyring of the "
        "operating system (extra `keyring`), with which secrets.json is then sealed. It moves when this changes.",
    )


class LogSettings(Section):
    """What is written to the log."""

    level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    levels: dict[str, str] = Field(
        {}, description='Levels of single loggers and what is below them, such as `{"portal.routing" = "DEBUG"}`.'
    )
    json_lines: bool = Field(False, description="Write the log as JSON, one object a line.")
    file: Path | None = Field(
        None,
        description="A file that the log goes to as well, within the data folder unless its path is whole. A server in "
        "the background always writes one: this, or portal.log.",
    )
    max_size: int = Field(10 * 2**20, gt=0, description="Bytes of the log file at which a new one is begun.")
    rotate_days: int = Field(7, ge=0, description="Days after which a new one is begun; 0 for any age.")
    keep: int = Field(5, gt=0, description="Older log files that are kept, packed with gzip.")


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_prefix="PORTAL_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder for everything Portal keeps.",
    )
    config: Path | None = Field(None, description="The TOML settings file; portal.toml in the data folder by default.")
    database: str = Field(
        "", description="postgresql://... to keep data in PostgreSQL; empty for SQLite in the data folder."
    )
    migrate: bool = Field(
        True,
        description="Bring the database to this version's schema at start. With `false`, for several servers on one "
        "PostgreSQL, a server waits until `portal migrate` has done it.",
    )
    seal_key: SecretStr | None = Field(
        None,
        description="The key that secrets are sealed with, as 64 hexadecimal digits: the same for all servers on one "
        "PostgreSQL. By default the file seal.key in the data folder.",
    )
    default_model: str = Field(
        "", description="The model that `auto` means; empty lets Portal choose the best there is."
    )
    server: ServerSettings = ServerSettings()
    people: PeopleSettings = PeopleSettings()
    limits: LimitSettings = LimitSettings()
    backends: tuple[BackendSettings, ...] = Field((), description="Model servers beside those found by themselves.")
    discovery: DiscoverySettings = DiscoverySettings()
    workspaces: dict[WorkspaceName, WorkspaceSettings] = Field({}, description="Workspaces of your own, by name.")
    rules: dict[str, RuleSettings] = Field({}, description="Your routing rules, by name.")
    classifier: ClassifierSettings = ClassifierSettings()
    turns: TurnSettings = TurnSettings()
    tools: ToolSettings = ToolSettings()
    search: SearchSettings = SearchSettings()
    browser: BrowserSettings = BrowserSettings()
    sql: SqlSettings = SqlSettings()
    skills: SkillSettings = SkillSettings()
    policies: tuple[PolicySettings, ...] = Field(
        (), description="Which tools run at once, ask first or never run; the first that fits decides."
    )
    mcp: McpSettings = McpSettings()
    media: MediaSettings = MediaSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    files: FileSettings = FileSettings()
    backup: BackupSettings = BackupSettings()
    retention: RetentionSettings = RetentionSettings()
    memory: MemorySettings = MemorySettings()
    schedules: ScheduleSettings = ScheduleSettings()
    speech: SpeechSettings = SpeechSettings()
    channels: ChannelSettings = ChannelSettings()
    slack: SlackSettings = SlackSettings()
    telegram: TelegramSettings = TelegramSettings()
    faults: FaultSettings = FaultSettings()
    ollama: OllamaSettings = OllamaSettings()
    anthropic: AnthropicSettings = AnthropicSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    secrets: SecretSettings = SecretSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, `.env`, and behind them the TOML file that those (or the data folder) name."""
        stronger = (init_settings, env_settings, dotenv_settings)
        given = [source() for source in stronger]
        return (
            *stronger,
            InitSettingsSource(settings_cls, init_kwargs=_alias(env_settings, dotenv_settings)),
            InitSettingsSource(settings_cls, init_kwargs=_toml(_first(given, "config"), _first(given, "data_dir"))),
        )


def _first(given: Sequence[Mapping[str, Any]], name: str) -> Path | None:
    """The strongest value for one top-level path."""
    for values in given:
        if value := values.get(name):
            return Path(value).expanduser()
    return None


def _alias(*sources: PydanticBaseSettingsSource) -> dict[str, Any]:
    """What has other names in the environment or `.env`: `ollama.token`, and what OpenTelemetry's variables say."""
    known: dict[str, str | None] = {}
    for source in reversed(sources):
        known |= {name.lower(): value for name, value in getattr(source, "env_vars", {}).items() if value}
    token = known.get(_OTHER_NAME.lower())
    telemetry = standard(known)
    return {**({"ollama": {"token": token}} if token else {}), **({"telemetry": telemetry} if telemetry else {})}


def _file(config: Path | None, data_dir: Path | None) -> Path:
    return config or (data_dir or default_data_dir()) / "portal.toml"


def settings_files(settings: Settings) -> Sequence[Path]:
    """The files that settings come from, those included that are not there: the TOML file, and `.env`."""
    return _file(settings.config and settings.config.expanduser(), settings.data_dir), Path(_env_file())


def _env_file() -> str:
    return os.environ.get(ENV_FILE) or ".env"  # noqa: TID251


def _toml(config: Path | None, data_dir: Path | None) -> dict[str, Any]:
    path = _file(config, data_dir)
    if config is None and not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error}") from error
    return content


def load_settings(arguments: Mapping[str, Any] | None = None) -> Settings:
    """Read all sources; `arguments` is a nested mapping of what the command line set.

    Raises:
        SettingsError: a setting is unknown or has a wrong value; the message names it.
    """
    try:
        settings = Settings(_env_file=_env_file(), **(arguments or {}))
    except ValidationError as error:
        text = _text(arguments or {})
        wrong = [f"{explain(detail)}{_at(text, detail['loc'])}" for detail in error.errors()]
        raise SettingsError("; ".join([*_unknown(arguments or {}), *wrong])) from error
    except SettingsParseError as error:
        raise SettingsError(str(error)) from error
    if unknown := _unknown(arguments or {}):
        raise SettingsError("; ".join(unknown))
    return settings


def _unknown(arguments: Mapping[str, Any]) -> list[str]:
    """What is in the TOML file, at its top, and no setting reads."""
    text = _text(arguments)
    names = sorted(tomllib.loads(text).keys() - Settings.model_fields.keys())
    return [f"{name}: Portal does not know this setting{_at(text, [name])}" for name in names]


def _at(text: str, where: Sequence[str | int]) -> str:
    line = line_of(text, where)
    return "" if line is None else f" (line {line} of the settings file)"


def _places(arguments: Mapping[str, Any]) -> tuple[Path | None, Path | None]:
    """The TOML file and the data folder that arguments and environment name."""
    from dotenv import dotenv_values

    said = {**dotenv_values(_env_file()), **os.environ}  # noqa: TID251
    named = (arguments.get(name) or said.get(f"PORTAL_{name.upper()}") for name in ("config", "data_dir"))
    config, data_dir = (Path(path).expanduser() if path else None for path in named)
    return config, data_dir


def folder_whatever_is_set(arguments: Mapping[str, Any]) -> Path:
    """The data folder, for those who need no more and cannot read the settings as they are."""
    return _places(arguments)[1] or default_data_dir()


def _text(arguments: Mapping[str, Any]) -> str:
    """What is in the TOML file; empty where that cannot be said."""
    try:
        return _file(*_places(arguments)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def unknown_environment() -> list[str]:
    """`PORTAL_` variables that no setting reads: worth a warning, but not an end (Kubernetes sets some by itself)."""
    known = {name.upper() for name in Settings.model_fields}
    ours = (name for name in os.environ if name.startswith("PORTAL_") and name != ENV_FILE)  # noqa: TID251
    return sorted(name for name in ours if name.removeprefix("PORTAL_").split("__")[0].upper() not in known)
