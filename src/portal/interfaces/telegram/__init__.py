"""Telegram: a bot as a channel. By long polling, or by a webhook where Portal is reached from outside."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from portal.core.channels import Channel, Surroundings


class Config(BaseModel):
    """What a Telegram bot is set up with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr
    """As @BotFather gives it."""
    api_url: str = "https://api.telegram.org"
    """Of a Bot API server of one's own."""
    webhook: bool = True
    """Have Telegram post to Portal where Portal has a public address; else it is asked for updates."""
    drafts: bool = True
    """Show answers in private chats as drafts while they are written, instead of editing a message."""
    inline: bool = False
    """Answer questions that linked people ask as `@bot question` in any chat."""
    poll_seconds: int = Field(default=25, ge=1, le=50)
    """How long Telegram may keep a poll open when there is nothing to tell."""


def create(config: Config, around: Surroundings) -> Channel:
    """The channel. The client library takes seconds to load, and does so beside everything else, when it runs."""
    from portal.interfaces.telegram.channel import TelegramChannel  # noqa: PLC0415

    return TelegramChannel(config=config, around=around)
