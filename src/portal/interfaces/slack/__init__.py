"""Slack as a door of Portal: Socket Mode, or requests from Slack where a public address is set."""

from importlib.util import find_spec

from portal.core.channels import Channel, Surroundings
from portal.errors import SettingsError
from portal.settings.slack import SlackSettings


def create(config: SlackSettings, around: Surroundings) -> Channel:
    """The channel. Raises SettingsError where a token is missing."""
    if find_spec("slack_bolt") is None:
        raise ModuleNotFoundError("slack-bolt is not installed", name="slack_bolt")
    from portal.interfaces.slack.api import SlackApi
    from portal.interfaces.slack.channel import SlackChannel

    app_token, secret = config.app_token.get_secret_value(), config.signing_secret.get_secret_value()
    by_http = bool(around.public_url and secret)
    if not by_http and not app_token:
        raise SettingsError(
            "Slack needs slack.app_token (Socket Mode), or channels.public_url and slack.signing_secret."
        )
    return SlackChannel(
        name=around.name,
        api=SlackApi(token=config.bot_token.get_secret_value(), base=config.api_base),
        app_token=app_token,
        signing_secret=secret,
        by_http=by_http,
        prompts=config.prompts,
    )
