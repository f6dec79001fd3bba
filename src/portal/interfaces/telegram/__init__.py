"""Telegram: a bot as a channel. By long polling, or by a webhook where Portal is reached from outside."""

import re
from importlib.util import find_spec

from portal.core.channels import Channel, Surroundings
from portal.errors import SettingsError
from portal.interfaces.telegram.channel import TelegramChannel
from portal.settings.telegram import TelegramSettings


def create(settings: TelegramSettings, around: Surroundings) -> Channel:
    """The channel. The client library takes seconds to load, and does so beside everything else once it runs."""
    token = settings.token.get_secret_value() if settings.token else ""
    if not re.fullmatch(r"\d+:[\w-]{20,}", token):
        raise SettingsError("telegram.token is no token of a Telegram bot: @BotFather gives one like 123456:ABC-DEF….")
    if find_spec("aiogram") is None:
        raise ModuleNotFoundError("aiogram is not installed", name="aiogram")
    return TelegramChannel(token=token, settings=settings, around=around)
