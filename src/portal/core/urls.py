"""Addresses as everybody here reads them: policies that judge a call, and what connects then. One reader, so that no
spelling means one host to the one and another to the other."""

import re

from yarl import URL

from portal.errors import ToolError

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_LONGEST = 8000
_BY_SSH = re.compile(r"(?P<host>(?:[^/:@\s]+@)?(?:\[[^]/]+\]|[^/:@\s]+)):(?P<path>.*)", re.DOTALL)


def read_url(text: str) -> URL:
    """Raises ToolError for what is no whole URL, or one with characters that are read differently here and there."""
    if len(text) > _LONGEST or _UNPRINTABLE.search(text):
        raise ToolError("The address is too long, or has spaces or characters that do not belong into one.")
    try:
        url = URL(text)
        url.raw_host, url.port  # noqa: B018 - some faults show only here
    except (ValueError, UnicodeError) as error:
        raise ToolError(f"{text} is not an address of the web.") from error
    return url


def spelled_out(text: str) -> str:
    """An address as people write it, with the scheme that they left out."""
    plain = text.strip()
    return plain if "://" in plain else f"https://{plain}"


def host_of(text: str) -> str:
    """The host that an address leads to, in small letters and ASCII; empty where that cannot be said for sure."""
    try:
        host = read_url(spelled_out(text)).raw_host or ""
    except ToolError:
        return ""
    return "" if "%" in host else host.rstrip(".").lower()


def is_folder(source: str) -> bool:
    """Whether git takes this for a folder of this machine rather than for an address."""
    if "://" in source:
        return source.startswith("file://")
    return ":" not in source.partition("/")[0]


def git_url(source: str) -> str:
    """What git would reach for an address, as a URL: `git@host:path` is short for one of ssh."""
    short = None if "://" in source else _BY_SSH.fullmatch(source)
    return f"ssh://{short['host']}/{short['path'].lstrip('/')}" if short else source
