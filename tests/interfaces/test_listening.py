"""What clients do wrong on the wire is no fault in the log."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")
UPGRADE = (
    "GET /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = b"\x00\x00\x00\x00"
"""Leaves what it masks as it is."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data", backends=[backend]) as running:
        yield running


async def said(portal: TestPortal, sent: str, *frames: bytes, leave: bool = False) -> bytes:
    """What the server answers until it hangs up, the frames sent once it opened a WebSocket; with `leave` we hang up
    first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(portal.url.rpartition(":")[2]))
    writer.write(sent.encode())
    if leave:
        writer.write_eof()
        return await reader.read()
    told = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"".join(frames))
    told += await reader.read()
    writer.close()
    return told


def frame(opcode: int, data: bytes) -> bytes:
    return bytes([0x80 | opcode, 0x80 | len(data)]) + MASK + data


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


async def test_a_socket_that_is_refused(portal: TestPortal, caplog: pytest.LogCaptureFixture) -> None:
    told = await said(portal, UPGRADE.format(key="wrong"))

    assert told.startswith(b"HTTP/1.1 401 ")
    assert faults(caplog) == []


@pytest.mark.parametrize("also", [b"", frame(8, b"\x03\xe8")])
async def test_text_that_is_none_ends_the_socket(
    portal: TestPortal, caplog: pytest.LogCaptureFixture, also: bytes
) -> None:
    told = await said(portal, UPGRADE.format(key=portal.key), frame(1, b"\xff\xfe"), also)

    assert told.startswith(b"HTTP/1.1 101 ")
    assert told.endswith(b"\x03\xe8" if also else b"\x03\xef")  # 1007; the client's own end is answered with its number
    assert faults(caplog) == []


async def test_a_socket_that_breaks_the_protocol_before_it_is_answered(
    portal: TestPortal, caplog: pytest.LogCaptureFixture
) -> None:
    told = await said(portal, UPGRADE.format(key=portal.key), frame(1, b"{}"), b"\xff\x00")

    assert told.startswith(b"HTTP/1.1 101 ")
    assert b"\x03\xea" in told  # 1002
    assert faults(caplog) == []


async def test_a_client_that_leaves_in_the_middle_of_an_upload(
    portal: TestPortal, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {portal.key}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b\r\n"
    )

    assert await said(portal, head, leave=True) == b""
    assert faults(caplog) == []


@pytest.mark.parametrize("number", ["9" * 5000, "²", "-1", "", "7"])
async def test_any_last_event_id(portal: TestPortal, number: str) -> None:
    headers = {**portal.headers, "Last-Event-ID": number}
    async with (
        aiohttp.ClientSession(portal.url, headers=headers) as client,
        client.get("/portal/v1/events") as events,
    ):
        assert events.status == 200
        assert (await events.content.readline()).startswith((b": connected", b"id: ", b"data: "))
