"""Settings of Telegram."""

from pydantic import Field, SecretStr

from portal.settings.section import Seconds, Section


class TelegramSettings(Section):
    """A Telegram bot as a door of Portal (extra `telegram`)."""

    token: SecretStr | None = Field(None, description="The bot's token, as @BotFather gives it.")
    api_base: str = Field(
        "https://api.telegram.org", description="Where the Bot API is: Telegram's, or a server of your own."
    )
    webhook: bool = Field(
        True, description="Have Telegram post to Portal where `channels.public_url` is set, instead of asking it."
    )
    drafts: bool = Field(
        True, description="Show an answer in a private chat as a draft while it is written, instead of editing it."
    )
    inline: bool = Field(
        False, description="Answer linked people who ask `@bot question` in any chat. Turn it on at @BotFather, too."
    )
    poll: int = Field(25, ge=1, le=50, description="Seconds that Telegram may take to say that there is nothing new.")
    silence: Seconds = Field(
        60, description="Seconds without any answer from Telegram after which the connection is made anew."
    )
