"""Which tools run at once, ask or never run: the policies of the settings."""

import os
from collections.abc import Sequence

from portal.core.policy import Policy, Rules
from portal.settings import Settings


def policies_of(settings: Settings) -> Sequence[Policy]:
    """Those of the settings."""
    return [Policy(**one.model_dump()) for one in settings.policies]


def open_rules(settings: Settings) -> Rules:
    """The ones that all of a Portal hold by."""
    return Rules(policies=policies_of(settings), web=settings.tools.web, resolve=_real_path)


def _real_path(path: str) -> str:
    """Where it leads, links followed; one with a zero byte leads nowhere, as every tool will find."""
    return path if "\0" in path else os.path.realpath(path)
