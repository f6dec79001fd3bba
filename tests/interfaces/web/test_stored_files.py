"""Glimpses of files over the API: what they take, small pictures, and what documents say."""

import asyncio
import io
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from fpdf import FPDF
from PIL import Image

from portal.testing.portal import open_test_portal
from portal.tools.office import markdown, pages

from .conftest import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = Path(__file__).parents[2] / "tools/files"


def picture(kind: str = "PNG", side: int = 900, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (side, side // 2), 1).save(out, kind)
    return out.getvalue()


async def uploaded(door: Door, content: bytes, name: str, kind: str, status: int = 200) -> str:
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", content, filename=name, content_type=kind)
    async with door.client.post("/v1/files", data=form) as answer:
        held = await answer.json()
        assert answer.status == status, held
        return str(held["id"] if status == 200 else held["error"]["message"])


async def small(door: Door, file_id: str, **headers: str) -> tuple[int, bytes, str]:
    async with door.client.get(f"/portal/v1/files/{file_id}/thumbnail", headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("etag", "")


async def test_small_pictures(me: Door, stranger: Door) -> None:
    content = markdown.parse("# Pears\n\nRipe.", lambda source, caption: None)
    shown = {
        "a.png": (picture(), "image/png"),
        "b.jpg": (picture("JPEG"), "image/jpeg"),
        "c.gif": (picture("GIF", mode="P"), "image/gif"),
        "d.pdf": (pages.write(content), "application/pdf"),
    }
    for name, (data, kind) in shown.items():
        file_id = await uploaded(me, data, name, kind)
        status, made, mark = await small(me, file_id)
        assert status == 200
        assert max(Image.open(io.BytesIO(made)).size) == 480
        assert (await small(me, file_id, **{"If-None-Match": mark}))[0] == 304
        assert (await small(stranger, file_id))[0] == 404
    for name, data, kind in [("a.png", b"words", "image/png"), ("a.svg", b"<svg/>", "image/svg+xml"),
                             ("a.pdf", b"%PDF-1.7", "application/pdf"), ("b.png", picture(side=12_000, mode="1"),
                              "image/png")]:  # fmt: skip
        assert (await small(me, await uploaded(me, data, name, kind)))[0] == 404, name


async def page_of(door: Door, file_id: str, number: object, **headers: str) -> tuple[int, bytes, str]:
    async with door.client.get(f"/portal/v1/files/{file_id}/pages/{number}", headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("etag", "")


async def test_pages_of_a_pdf(me: Door, stranger: Door) -> None:
    file = FPDF()
    for number in (1, 2):
        file.add_page()
        file.set_fill_color(0, 0, 0)
        file.rect(0, 0, 210, 297 if number == 2 else 0.1, style="F")
    file_id = await uploaded(me, bytes(file.output()), "two.pdf", "application/pdf")
    (_, light, _), (status, dark, mark) = await page_of(me, file_id, 1), await page_of(me, file_id, 2)
    looks = [Image.open(io.BytesIO(page)).convert("L").resize((1, 1)).getpixel((0, 0)) for page in (light, dark)]
    assert (status, looks) == (200, [pytest.approx(255, abs=5), pytest.approx(0, abs=5)])
    assert (await page_of(me, file_id, 2, **{"If-None-Match": mark}))[0] == 304
    assert [(await page_of(me, file_id, number))[0] for number in (3, 100_001, "one")] == [404, 400, 400]
    assert (await page_of(stranger, file_id, 1))[0] == 404
    words = await uploaded(me, b"words", "words.txt", "text/plain")
    assert (await page_of(me, words, 1))[0] == 404


@contextmanager
def resident() -> Iterator[list[int]]:
    """By how many bytes this process has grown, a thousand times a second; what it once was does not count."""
    process, over = psutil.Process(), threading.Event()
    grown, before = [0], process.memory_info().rss

    def watch() -> None:
        while not over.wait(0.001):
            grown.append(process.memory_info().rss - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield grown
    finally:
        over.set()
        watching.join()


async def test_a_page_as_large_as_a_house_costs_nothing(me: Door) -> None:
    file = FPDF(unit="pt", format=(14_400, 14_400))
    file.add_page()
    file_id = await uploaded(me, bytes(file.output()), "large.pdf", "application/pdf")
    with resident() as grown:
        assert (await small(me, file_id))[0] == 404
        assert (await page_of(me, file_id, 1))[0] == 404
    assert max(grown) < 200 * 2**20


async def test_what_documents_say(me: Door, stranger: Door) -> None:
    file_id = await uploaded(me, (FILES / "report.docx").read_bytes(), "report.docx", "application/octet-stream")
    long = await uploaded(me, b"word " * 50_000, "long.txt", "text/plain")
    broken = await uploaded(me, b"%PDF-1.7 nothing", "bad.pdf", "application/octet-stream")

    said = await me("GET", f"/portal/v1/files/{file_id}/text")
    assert "harvest was good" in said["text"]
    assert said["whole"] is True
    cut = await me("GET", f"/portal/v1/files/{long}/text")
    assert (len(cut["text"]), cut["whole"]) == (200_000, False)
    await me.refused("GET", f"/portal/v1/files/{broken}/text", status=400)
    await stranger.refused("GET", f"/portal/v1/files/{file_id}/text", status=404)


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb, zipfile.ZipFile(FILES / "report.docx") as real:
        for name in real.namelist():
            with bomb.open(name, "w") as part:
                part.write(real.read(name))
                for _ in range(300 if name == "word/document.xml" else 0):
                    part.write(bytes(2**20))
    return packed.getvalue()


async def test_a_zip_bomb_is_not_unpacked(me: Door) -> None:
    """A Word file of some kilobytes that would come to 300 MB of text."""
    bomb = await asyncio.to_thread(zip_bomb)  # for so many seconds that a connection which is kept ends meanwhile
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    file_id = await uploaded(me, bomb, "bomb.docx", kind)
    tracemalloc.start()
    try:
        told = await me.refused("GET", f"/portal/v1/files/{file_id}/text", status=400)
        assert "unpacks to more than" in str(told)
        assert (await small(me, file_id))[0] == 404
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


async def test_what_files_take_and_what_does_not_fit(tmp_path: Path) -> None:
    settings = {"files": {"quota": 100_000}}
    async with (
        open_test_portal(tmp_path, settings=settings) as running,
        aiohttp.ClientSession(running.url, headers=running.headers) as client,
    ):
        me = Door(client)
        kept = await uploaded(me, b"x" * 60_000, "a.bin", "application/octet-stream")
        await uploaded(me, b"x" * 60_000, "same.bin", "application/octet-stream")
        assert await me("GET", "/portal/v1/files/usage") == {"files": 2, "bytes": 60_000, "quota": 100_000}
        refused = await uploaded(me, b"y" * 60_000, "b.bin", "application/octet-stream", 507)
        assert "100,000 bytes" in refused
        assert await me("GET", "/portal/v1/files/usage") == {"files": 2, "bytes": 60_000, "quota": 100_000}
        assert (await me("GET", f"/v1/files/{kept}"))["bytes"] == 60_000
