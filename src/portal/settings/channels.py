"""Settings of channels: what all chat platforms share, and interfaces that other packages bring."""

from typing import Literal

from pydantic import Field, SecretStr

from portal.settings.section import Section


class InterfaceSettings(Section):
    """A chat platform that another package brings, `[channels.interfaces.NAME]`."""

    kind: str = Field(description="Its kind: the name that the package registers under `portal.interfaces`.")
    options: dict[str, SecretStr] = Field({}, description="What it needs to know, such as its token.")


class ChannelSettings(Section):
    """Chat platforms as doors of Portal."""

    model: str = Field("auto", description="Workspace or model that answers there until another one is chosen.")
    groups: Literal["mentioned", "always"] = Field(
        "mentioned", description="When Portal answers in a group: mentioned (or replied to), or always."
    )
    public_url: str = Field(
        "",
        description="Where Portal is reached from outside, such as https://portal.example, for platforms that post to "
        "it; empty where it is not.",
    )
    interfaces: dict[str, InterfaceSettings] = Field({}, description="Interfaces of other packages, by name.")
