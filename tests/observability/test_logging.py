import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from contextvars import copy_context
from pathlib import Path

import pytest

from portal.core.items import JsonObject
from portal.errors import BadRequest, SettingsError
from portal.observability.context import request_id
from portal.observability.logging import configure
from portal.redaction import redact
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
    root, known = logging.getLogger(), logging.getLogger().manager.loggerDict
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger in known.values():
        if isinstance(logger, logging.Logger):
            logger.setLevel(logging.NOTSET)


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


def test_what_stands_beside_a_line_is_cleaned_as_well() -> None:
    with redirect_stderr(io.StringIO()) as output:
        configure(LogSettings(level="info", json_lines=True))
        logging.getLogger("portal.x").info("is away", extra={"backend": "http://me:hunter22@box.lan:8080/"})
    told = json.loads(output.getvalue())
    assert told["backend"] == "http://me:...@box.lan:8080/"


def test_levels() -> None:
    assert "too much" in logged(LogSettings(level="debug"))
    assert "with" not in logged(LogSettings(level="ERROR")).splitlines()[0]
    assert "too much" in logged(LogSettings(levels={"portal.test": "debug"}))
    assert "with" not in logged(LogSettings(levels={"portal": "error"}, level="debug")).splitlines()[0]
    with pytest.raises(SettingsError, match=r"log\.level"):
        configure(LogSettings(level="loud"))
    with pytest.raises(SettingsError, match=r"log\.levels\.portal"):
        configure(LogSettings(levels={"portal": "loud"}))


def test_lines_tell_of_the_request_they_belong_to() -> None:
    context = copy_context()
    context.run(request_id.set, "req_1")

    said = context.run(logged, LogSettings())
    first = json.loads(context.run(logged, LogSettings(json_lines=True)).splitlines()[0])

    assert said.splitlines()[0].endswith("response=resp_1 request=req_1")
    assert first["request"] == "req_1"
    assert "request" not in json.loads(logged(LogSettings(json_lines=True)).splitlines()[0])


def test_what_goes_to_a_file_goes_to_the_terminal_too(tmp_path: Path) -> None:
    target = io.StringIO()
    with redirect_stderr(target):
        configure(LogSettings(), file=tmp_path / "logs" / "portal.log")
        logging.getLogger("portal.test").info("Bearer abcdefghijkl")

    written = (tmp_path / "logs" / "portal.log").read_text(encoding="utf-8")
    assert written == target.getvalue()
    assert written.endswith("Bearer ...\n")


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"log\.file"):
        configure(LogSettings(), file=tmp_path)


async def test_a_level_is_changed_for_a_while() -> None:
    target = io.StringIO()
    log = logging.getLogger("portal.test.inner")
    with redirect_stderr(target):
        levels = configure(LogSettings())

        def own() -> list[JsonObject]:
            return [one for one in levels.view()["loggers"] if one["name"] == "portal.test"]

        levels.change("debug", "portal.test", for_seconds=0.05)
        log.debug("first")
        assert own()[0]["until"]
        levels.change("error", "portal.test", for_seconds=0.05)  # still goes back to what it was before the first
        log.warning("no")
        while own():
            await asyncio.sleep(0.01)
        log.debug("second")
        log.info("third")
        levels.change("WARNING")
        log.info("fourth")
        levels.change("debug", for_seconds=60)
        levels.stop()

    assert [line.split(": ")[1] for line in target.getvalue().splitlines()] == ["first", "third"]
    assert levels.view()["level"] == "DEBUG"
    with pytest.raises(BadRequest, match="DEBUG, INFO"):
        levels.change("loud")
    for number in range(47):
        levels.change("debug", f"a{number}")
    with pytest.raises(BadRequest, match="So many"):
        levels.change("debug", "one.more")
