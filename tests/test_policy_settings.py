"""Policies are read at the start: one that could never fit is refused rather than believed."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from portal.settings.tools import PolicySettings


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", ""),
        (" ", ""),
        ("~/private", str(Path.home() / "private")),
        ("/srv/../srv/notes/", "/srv/notes"),
        ("//srv/notes", "/srv/notes"),
    ],
)
def test_the_folder_of_a_policy_is_whole(written: str, read: str) -> None:
    assert PolicySettings(action="deny", path=written).path == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", ""),
        ("https://Evil.com", "evil.com"),
        ("https://evil.com/", "evil.com"),
        ("*.evil.com.", "evil.com"),
        (".evil.com", "evil.com"),
        ("ｅvil。com", "evil.com"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("[::1]", "::1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_the_domain_of_a_policy_is_as_addresses_are_compared(written: str, read: str) -> None:
    assert PolicySettings(action="deny", domain=written).domain == read


@pytest.mark.parametrize("path", ["private", "./private", "~nobody-of-this-name/x", "/srv/\0"])
def test_a_folder_that_could_never_fit_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match=r"such as /srv/notes or ~/notes|home folder"):
        PolicySettings(action="deny", path=path)


@pytest.mark.parametrize(
    "domain",
    ["evil.com/path", "evil.com:8443", "user@evil.com", "https://", "evil.*", "evil com", "http://[bad", "a%b"],
)
def test_a_domain_that_could_never_fit_is_refused(domain: str) -> None:
    with pytest.raises(ValidationError, match=r"no domain, such as example\.org"):
        PolicySettings(action="deny", domain=domain)
