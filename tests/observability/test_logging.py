import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest

from portal.errors import SettingsError
from portal.observability.logging import configure, redact
from portal.settings import LogSettings

SECRETS = [
    ("key portal-abcdefghIJKLMNOPQRSTUVWXYZ0123456789", "IJKLMNOPQRSTUVWXYZ"),
    ("key sk-proj-abcdefghIJKLMNOP", "abcdefghIJKLMNOP"),
    ("Authorization: Bearer abcdefghijkl", "abcdefghijkl"),
    ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("{'Authorization': 'Bearer abcdefghijkl'}", "abcdefghijkl"),
    ("(b'authorization', b'Bearer abcdefghijkl')", "abcdefghijkl"),
    ('"api_key": "hunter2hunter2"', "hunter2hunter2"),
    ("x-api-key=hunter2hunter2", "hunter2hunter2"),
    ("password: hunter2", "hunter2"),
    ("GET /sign-in?token=abcdefghijkl&x=1", "abcdefghijkl"),
    ("Set-Cookie: portal_session=abcdefghijkl; HttpOnly", "abcdefghijkl"),
    ("(b'cookie', b'a=1; portal_session=abcdefghijkl')", "abcdefghijkl"),
    ("ghp_abcdefghijklmnopqrst", "cdefghijklmnopqrst"),
    ("xoxb-123456789012-abcdefghij", "abcdefghij"),
    ("xapp-1-A0123456789-abcdef", "abcdef"),
    ("AKIAABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
    ("bot123456789:AAabcdefghijklmnopqrstuvwxyz0123456", "abcdefghijklmnopqrstuvwxyz"),
    ("id 123456789:AAabcdefghijklmnopqrstuvwxyz012345_", "abcdefghijklmnopqrstuvwxyz"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabcdef", "MIIEabcdef"),
    ("mail from eve.adams+x@mail.example.org", "adams"),
    ("hf_abcdefghijklmnopqrst", "cdefghijklmnopqrst"),
    ("postgresql://me:hunter2@db.example/portal", "hunter2"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_are_taken_out(text: str, secret: str) -> None:
    said = redact(f"before {text} after")
    assert secret not in said
    assert said.startswith("before")
    assert said.endswith("after")


@pytest.mark.parametrize(
    "text",
    [
        "resp_0190aabbccddeeff0190aabbccddeeff",
        "http://127.0.0.1:8081/v1",
        "5 tokens: 3 in, 2 out",
        "sk-short",
        "@someone",
        "a@b",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert redact(text) == text


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(settings: LogSettings) -> str:
    """What a few records, one with an exception, look like."""
    target = io.StringIO()
    with redirect_stderr(target):
        configure(settings)
        log = logging.getLogger("portal.test")
        log.debug("too much")
        log.info("with %s", "Bearer abcdefghijkl", extra={"response": "resp_1"})
        try:
            raise ValueError("password=hunter2hunter2")
        except ValueError:
            log.exception("failed")
        sys.stderr.flush()
    return target.getvalue()


def test_lines_for_people() -> None:
    said = logged(LogSettings())
    first, *rest = said.splitlines()
    assert first.endswith("info    portal.test: with Bearer ... response=resp_1")
    assert first[19] == "Z"
    assert "ValueError" in said
    assert "hunter2" not in said
    assert "too much" not in said
    assert rest


def test_lines_for_machines() -> None:
    first, second = [json.loads(line) for line in logged(LogSettings(json_lines=True)).splitlines()]
    assert (first["message"], first["level"], first["response"]) == ("with Bearer ...", "info", "resp_1")
    assert "ValueError" in second["exception"]
    assert "hunter2" not in second["exception"]


def test_levels() -> None:
    assert "too much" in logged(LogSettings(level="debug"))
    assert "with" not in logged(LogSettings(level="ERROR")).splitlines()[0]
    with pytest.raises(SettingsError, match=r"log\.level"):
        configure(LogSettings(level="loud"))
