import pytest
from tests.interfaces.openai.conftest import error_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACE = "/v1/files"


async def upload(api, content=b"hello", name="a.txt", kind="text/plain", **fields):
    return await api.client.post(PLACE, files={"file": (name, content, kind)}, data={"purpose": "user_data", **fields})


async def test_upload_get_content_delete(api):
    answer = await upload(api, name="Grüße \u2713.txt")
    made = answer.json()
    assert made.pop("created_at") > 1_700_000_000
    assert made == {
        "id": made["id"],
        "object": "file",
        "bytes": 5,
        "expires_at": None,
        "filename": "Grüße \u2713.txt",
        "purpose": "user_data",
        "status": "processed",
        "content_type": "text/plain",
    }
    place = f"{PLACE}/{made['id']}"
    assert (await api.get(place)).json() == answer.json()
    content = await api.get(f"{place}/content")
    assert content.content == b"hello"
    assert content.headers["content-disposition"].startswith("attachment")
    assert content.headers["content-type"].startswith("text/plain")
    assert content.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in content.headers["content-security-policy"]
    assert (await api.client.delete(place)).json() == {"id": made["id"], "object": "file", "deleted": True}
    for gone in (await api.get(place), await api.get(f"{place}/content"), await api.client.delete(place)):
        error_of(gone, 404)


async def test_a_large_file_comes_back_whole(api):
    content = bytes(range(256)) * 20_000
    made = (await upload(api, content, "b.bin", "application/octet-stream")).json()
    assert made["bytes"] == len(content)
    assert made["content_type"] == "application/octet-stream"
    assert (await api.get(f"{PLACE}/{made['id']}/content")).content == content


async def test_a_type_that_was_not_told_is_guessed(api):
    made = (await upload(api, b"x", "..\\folder/b.png", "application/octet-stream")).json()
    assert (made["content_type"], made["filename"]) == ("image/png", "b.png")


async def test_odd_names_and_types(api):
    head = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b\r\n'
    part = 'Content-Disposition: form-data; name="file"; filename="a\x01\u2713.txt"\r\nContent-Type: \u2713\r\n\r\n'
    body = head + part.encode() + b"hello\r\n--b--\r\n"
    form = {"content-type": "multipart/form-data; boundary=b"}
    made = (await api.client.post(PLACE, content=body, headers=form)).json()
    assert (made["filename"], made["content_type"]) == ("a\u2713.txt", "text/plain")
    assert (await api.get(f"{PLACE}/{made['id']}/content")).content == b"hello"


async def test_path_names_lose_their_folders(api):
    for name, kept in (("../../etc/passwd", "passwd"), ("C:\\Windows\\a.txt", "a.txt"), ("/srv/b.txt", "b.txt")):
        made = (await upload(api, name=name)).json()
        assert made["filename"] == kept
        answer = await api.get(f"{PLACE}/{made['id']}/content")
        assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{kept}"


async def test_polyglots_are_what_they_were_sent_as(api):
    """What is a picture, a PDF and a program at once is shown as the one and never run as the other."""
    for name, kind, content in (
        ("a.gif", "image/gif", b"GIF89a/*" + bytes(8) + b"*/=1;alert(1)"),
        ("b.png", "image/png", b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script>"),
        ("c.pdf", "application/pdf", b"%PDF-1.7\n<html><script>alert(1)</script>PK\x03\x04"),
    ):
        made = (await upload(api, content, name, kind)).json()
        answer = await api.get(f"{PLACE}/{made['id']}/content?inline=1")
        assert (answer.headers["content-type"], answer.content) == (kind, content)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        as_program = (await upload(api, content, "d.html", kind)).json()
        answer = await api.get(f"{PLACE}/{as_program['id']}/content?inline=1")
        assert answer.headers["content-type"] == kind


async def test_pages(api):
    ids = [(await upload(api, name=f"{number}.txt", purpose="vision")).json()["id"] for number in range(3)]
    await upload(api, purpose="assistants")
    page = (await api.get(PLACE, purpose="vision", limit=2)).json()
    assert [file["id"] for file in page["data"]] == ids[:0:-1]
    assert (page["has_more"], page["last_id"]) == (True, ids[1])
    rest = (await api.get(PLACE, purpose="vision", after=page["last_id"])).json()
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == (ids[:1], False)
    forwards = (await api.get(PLACE, purpose="vision", order="asc")).json()
    assert [file["id"] for file in forwards["data"]] == ids
    error_of(await api.get(PLACE, after="file-no"), 400)
    assert error_of(await api.get(PLACE, limit=10_001), 400)["param"] == "limit"


async def test_a_file_that_expires(api):
    kept = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    made = (await upload(api, **kept)).json()
    assert made["expires_at"] == made["created_at"] + 3600


async def test_a_file_in_a_turn(api, backend):
    backend.answer("Nice")
    made = (await upload(api)).json()
    part = {"type": "input_file", "file_id": made["id"], "filename": "a.txt"}
    await api.respond({"model": "tiny", "input": [{"type": "message", "role": "user", "content": [part]}]})
    assert "hello" in backend.requests[-1].messages[-1]["content"]


class TestRefused:
    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            ({"purpose": ""}, "purpose", "missing_required_parameter"),
            ({"purpose": "fun"}, "purpose", "invalid_value"),
            ({"expires_after[seconds]": "3600"}, "expires_after.anchor", "invalid_value"),
            ({"expires_after[anchor]": "created_at"}, "expires_after.seconds", "missing_required_parameter"),
            ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "x"}, "expires_after.seconds",
             "invalid_type"),
            ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "60"}, "expires_after.seconds",
             "invalid_value"),
        ],
    )  # fmt: skip
    async def test_what_is_wrong_is_named(self, api, fields, param, code):
        error = error_of(await upload(api, **fields), 400)
        assert (error["param"], error["code"]) == (param, code)

    async def test_no_file(self, api):
        answer = await api.client.post(PLACE, files={"purpose": (None, "user_data")})
        assert error_of(answer, 400)["param"] == "file"

    async def test_no_name(self, api):
        assert error_of(await upload(api, name="folder/"), 400)["param"] == "file.filename"

    async def test_no_form(self, api):
        assert error_of(await api.post(PLACE, {"file": "x"}), 400)["code"] == "invalid_content_type"

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("multipart/form-data", b"x"),
            ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--"),
            ("multipart/form-data; boundary=b", b"nothing of the kind"),
        ],
    )
    async def test_a_broken_form(self, api, kind, body):
        answer = await api.client.post(PLACE, content=body, headers={"content-type": kind})
        assert answer.status_code == 400, answer.text
        error_of(answer, 400)


async def part(api, place, wanted, **headers):
    return await api.client.get(f"{place}/content", headers={"range": wanted, **headers})


async def test_parts_of_a_file(api):
    content = bytes(range(256)) * 10_000
    made = (await upload(api, content, "a.mp4", "video/mp4")).json()
    place = f"{PLACE}/{made['id']}"
    whole = await api.get(f"{place}/content")
    assert whole.headers["accept-ranges"] == "bytes"
    mark = whole.headers["etag"]
    size = len(content)
    for wanted, start, end in [("bytes=0-0", 0, 1), ("bytes=1048570-1048580", 1048570, 1048581),
                               ("bytes=-5", size - 5, size), (f"bytes={size - 1}-", size - 1, size),
                               (f"bytes=9-{10 * size}", 9, size)]:  # fmt: skip
        answer = await part(api, place, wanted, **{"if-range": mark})
        assert answer.status_code == 206
        assert answer.content == content[start:end]
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.headers["content-length"] == str(end - start)
    for wanted in (f"bytes={size}-", "bytes=-0"):
        answer = await part(api, place, wanted)
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    for odd in ("bytes=0-1,3-4", "bytes=5-2", "bytes=-", "lines=1-2"):
        assert (await part(api, place, odd)).content == content
    assert (await part(api, place, "bytes=0-1", **{"if-range": '"other"'})).status_code == 200
    assert (await api.client.get(f"{place}/content", headers={"if-none-match": mark})).status_code == 304
    head = await api.client.head(f"{place}/content")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


async def test_only_what_cannot_run_is_shown_in_its_place(api):
    inert = {"a.png": "image/png", "a.pdf": "application/pdf", "a.mp3": "audio/mpeg", "a.txt": "text/plain"}
    active = {"a.svg": "image/svg+xml", "a.html": "text/html", "a.xml": "application/xml", "a.js": "text/javascript"}
    for name, kind in {**inert, **active}.items():
        shown = name in inert
        made = (await upload(api, b"<script>alert(1)</script>", name, kind)).json()
        answer = await api.client.get(f"{PLACE}/{made['id']}/content?inline=1")
        assert answer.headers["content-disposition"].startswith("inline" if shown else "attachment"), name
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert ("sandbox" in answer.headers["content-security-policy"]) == (name != "a.pdf")
        plain = await api.get(f"{PLACE}/{made['id']}/content")
        assert plain.headers["content-disposition"].startswith("attachment")
