"""Settings of tool servers: those that speak MCP, and those described by an OpenAPI document."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from portal.settings.section import Seconds, Section, Words
from portal.settings.tools import Risk


def tool_server_name(name: str) -> str:
    """The name, if it is one. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?", name) or "__" in name:
        raise ValueError(
            f"{name!r} is no name for a tool server: use up to 32 letters, digits, dashes and single underscores, "
            "beginning and ending with a letter or digit"
        )
    return name


ToolServerName = Annotated[str, AfterValidator(tool_server_name)]


class ToolServerSettings(Section):
    """A tool server, `[mcp.servers.NAME]`: one that Portal ships, a program that is started, or an address."""

    shipped: str = Field("", description="The one of this name that Portal ships, such as time, git or execution.")
    kind: Literal["mcp", "openapi"] = Field("mcp", description="What it speaks: mcp, or openapi for a described API.")
    command: str = Field("", description="The program to start, for a server on this machine (stdio).")
    args: tuple[str, ...] = Field((), description="Its arguments.")
    env: dict[str, SecretStr] = Field({}, description="Environment variables it gets, beside PATH, HOME and the like.")
    cwd: Path | None = Field(None, description="The folder it is started in.")
    url: str = Field("", description="Or its address: of an MCP endpoint, or of an openapi.json.")
    transport: Literal["http", "sse"] = Field(
        "http", description="How it is reached at its address: http (streamable), or sse for the old transport."
    )
    base: str = Field("", description="For openapi: the address that its paths are below, if not the document's own.")
    headers: dict[str, SecretStr] = Field({}, description="Headers sent to that address, such as an API key.")
    auth: Literal["none", "oauth"] = Field("none", description="Whether a person signs in there first: none or oauth.")
    client_id: str = Field("", description="For oauth, where Portal was registered there by hand: the id it was given.")
    client_secret: SecretStr | None = Field(None, description="And the secret that came with that id.")
    allow: Words = Field(("*",), description="Patterns of its tools that may be used.")
    risks: dict[str, Risk] = Field(
        {},
        description='What its tools may do, by pattern, such as `{"search_*" = "read"}`: you vouch for them.',
    )
    trusted: bool = Field(
        False, description="Believe what it says of its tools, such as that one only reads; else every call asks."
    )
    sampling: Literal["ask", "allow", "off"] = Field(
        "ask", description="Whether it may have a model answer something in the middle of a call: ask, allow or off."
    )
    timeout: Seconds = Field(60, description="Seconds a call may take, those apart in which it waits for you.")
    start_timeout: Seconds = Field(30, description="Seconds until it must be ready.")
    enabled: bool = Field(True, description="Whether it is used.")

    @model_validator(mode="before")
    @classmethod
    def _ours(cls, given: Any) -> Any:
        """Portal's own are believed, unless somebody says otherwise."""
        return {"trusted": True, **given} if isinstance(given, dict) and given.get("shipped") else given

    @model_validator(mode="after")
    def _reachable(self) -> "ToolServerSettings":
        if sum(map(bool, (self.shipped, self.command, self.url))) != 1:
            raise ValueError("a tool server has either a command or a url, or is one that Portal ships")
        if self.kind == "openapi" and not self.url:
            raise ValueError("a server of kind openapi needs the url of its openapi.json")
        for address in filter(None, (self.url, self.base)):
            if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
                raise ValueError(f"{address!r} is no address of http or https")
        return self


class McpSettings(Section):
    """Servers of tools that others made, by the Model Context Protocol or OpenAPI."""

    servers: dict[ToolServerName, ToolServerSettings] = Field({}, description="Tool servers, by name.")
    oauth: bool = Field(
        True,
        description="Let programs sign in to /mcp by OAuth, each once somebody said yes; off, they need an API key.",
    )
    sampling_model: str = Field("auto", description="Workspace or model that answers servers which ask for a model.")
    sampling_tokens: int = Field(2000, gt=0, description="Tokens that such an answer has at most.")
    max_message: int = Field(
        32 * 2**20, ge=2**16, description="Bytes of the largest message that a tool server may send."
    )
