"""Addresses: one reader for those who judge and for what connects."""

import pytest

from portal.core.urls import git_url, host_of, is_folder


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("https://Docs.Example.org./a", "docs.example.org"),
        ("example.org/a", "example.org"),
        (" https://ｅxample。org", "example.org"),
        ("http://user:word@example.org:8080", "example.org"),
        ("http://[::1]/", "::1"),
        ("https://example.org\\@evil.test", ""),
        ("https://exa\tmple.org", ""),
        ("https://%65xample.org", ""),
        ("https://example.org:port", ""),
        ("//example.org", ""),
        ("https://" + "a" * 9000, ""),
    ],
)
def test_the_host_of_an_address(written: str, host: str) -> None:
    assert host_of(written) == host


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("git@example.org:a/b.git", "ssh://git@example.org/a/b.git"),
        ("example.org:/a", "ssh://example.org/a"),
        ("git@[::1]:a", "ssh://git@[::1]/a"),
        ("https://example.org/a", "https://example.org/a"),
        ("@:a", "@:a"),
    ],
)
def test_what_git_reaches(source: str, url: str) -> None:
    assert (git_url(source), is_folder(source)) == (url, False)


@pytest.mark.parametrize("source", ["/srv/a", "a/b:c", "./a:b", "file:///srv/a", "."])
def test_what_git_takes_for_a_folder(source: str) -> None:
    assert is_folder(source)
