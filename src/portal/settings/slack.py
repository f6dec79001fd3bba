"""Settings of Slack."""

from pydantic import Field, SecretStr

from portal.settings.section import Section, Words


class SlackSettings(Section):
    """Slack as a door of Portal. `portal channels manifest slack` prints the app that these belong to."""

    bot_token: SecretStr = Field(SecretStr(""), description="Bot User OAuth Token (xoxb-...); empty for no Slack.")
    app_token: SecretStr = Field(
        SecretStr(""), description="App-level token (xapp-...) with the scope connections:write, for Socket Mode."
    )
    signing_secret: SecretStr = Field(
        SecretStr(""),
        description="Signing Secret of the app. With it and `channels.public_url`, Slack posts to Portal instead of "
        "Socket Mode.",
    )
    prompts: Words = Field(
        ("What can you do for me?", "What have we talked about lately?", "Help me write a message"),
        description="What the Assistant pane suggests, at most four.",
    )
    api_base: str = Field("https://slack.com/api/", description="Base address of Slack's Web API.")
