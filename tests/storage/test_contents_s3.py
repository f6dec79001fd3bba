"""Files in an S3-compatible store: what only such a store can do to us."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from portal.core.clock import micros
from portal.errors import SettingsError, StorageUnavailable
from portal.settings import Settings
from portal.settings.files import FileSettings, S3Settings
from portal.storage.contents_s3 import PART, WINDOW, S3Contents
from portal.storage.contents_s3_uploads import Uploads
from portal.storage.database import Statement
from portal.storage.open import contents_of, open_storage
from portal.testing.records import OWNER, file
from portal.testing.s3_server import S3Server, s3_server

DAY = 86_400_000_000


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def whole(content: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in content])


def settings(folder: Path, bucket: S3Settings, store: str = "s3") -> Settings:
    return Settings(data_dir=folder, files=FileSettings(store=store, s3=bucket))  # type: ignore[arg-type]


async def test_a_large_file_goes_in_parts_and_comes_in_ranges(s3: S3Server) -> None:
    contents = S3Contents(settings=s3.bucket(prefix="portal"))
    data = random.Random(1).randbytes(2 * PART + WINDOW + 17)
    await contents.put("file_1", pieces(*(data[at : at + 700_001] for at in range(0, len(data), 700_001))))
    assert await whole(contents.get("file_1", 0, len(data))) == data
    for start, end in ((0, 1), (WINDOW - 1, WINDOW + 1), (PART, 2 * PART), (len(data) - 1, len(data))):
        assert await whole(contents.get("file_1", start, end)) == data[start:end]
    await contents.delete("file_1")
    await contents.delete("file_1")


@pytest.mark.slow
async def test_memory_stays_bounded(s3: S3Server, tmp_path: Path) -> None:
    block = random.Random(1).randbytes(2**20)

    async def many() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield block

    # moto lives in this process and keeps what it is sent: what is beyond that is ours.
    async with open_storage(settings(tmp_path, s3.bucket())) as storage:
        before = psutil.Process().memory_info().rss
        record = await storage.files.create(file(), many())
        grown = psutil.Process().memory_info().rss - before
        assert grown < 3 * record.size
        digest = hashlib.sha256()
        async for piece in storage.files.content(OWNER, record.id):
            digest.update(piece)
    assert digest.hexdigest() == record.sha256


async def test_a_store_that_is_away_is_said_and_one_that_comes_back_is_used(tmp_path: Path) -> None:
    with s3_server() as server:
        bucket = server.bucket()
        async with open_storage(settings(tmp_path, bucket)) as storage:
            kept = await storage.files.create(file(), pieces(b"kept"))
            gone = await storage.files.create(file(), pieces(b"gone"))
            server.stop()
            impatient = S3Contents(settings=bucket, retries=0)
            with pytest.raises(StorageUnavailable, match="cannot be used") as caught:
                await whole(impatient.get(kept.id, 0, 4))
            assert (caught.value.status, caught.value.retry_after) == (503, 5)
            with pytest.raises(StorageUnavailable):
                await impatient.put("x", pieces(b"x"))
            with pytest.raises(StorageUnavailable):
                await impatient.check()
            server.start()
            assert await whole(storage.files.content(OWNER, kept.id)) == b"kept"
            await storage.files.delete(OWNER, gone.id)
            assert list(server.objects(bucket.bucket)) == [kept.id]


async def test_what_could_not_be_deleted_goes_later(tmp_path: Path) -> None:
    with s3_server() as server:
        bucket = server.bucket()
        async with open_storage(settings(tmp_path, bucket)) as storage:
            first = await storage.files.create(file(), pieces(b"same"))
            storage.files.reach(S3Contents(settings=bucket, retries=0))
            server.stop()
            await storage.files.delete(OWNER, first.id)
            assert (await storage.files.list(OWNER)).data == []
            server.start()
            await storage.files.sweep()
            assert server.objects(bucket.bucket) == {}
            assert await storage.database.fetch("SELECT id FROM files") == []


async def test_what_a_crash_left_of_content_that_is_kept_already_is_swept_away(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket()
    async with open_storage(settings(tmp_path, bucket)) as storage:
        first = await storage.files.create(file(), pieces(b"same"))
        again = await storage.files.create(file(), pieces(b"same"))
        assert list(s3.objects(bucket.bucket)) == [first.id]
        # As a crash behind the moment in which the second one became visible leaves it.
        await S3Contents(settings=bucket).put(again.id, pieces(b"same"))
        left = "UPDATE files SET place = 's3' WHERE id = :id"
        await storage.database.batch([Statement(left, {"id": again.id})])
        await storage.files.sweep()
        assert list(s3.objects(bucket.bucket)) == [first.id]
        assert await whole(storage.files.content(OWNER, again.id)) == b"same"


async def test_a_crash_between_upload_and_row_leaves_nothing_for_long(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket()
    async with open_storage(settings(tmp_path, bucket)) as storage:
        record = await storage.files.create(file(created_at=micros() - 2 * DAY), pieces(b"x"))
        unready = "UPDATE files SET ready = 0 WHERE id = :id"
        await storage.database.batch([Statement(unready, {"id": record.id})])
    async with open_storage(settings(tmp_path, bucket)) as storage:
        await storage.sweep()
        assert s3.objects(bucket.bucket) == {}


async def test_files_stay_where_they_are_when_the_setting_changes(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket()
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        old = await storage.files.create(file(), pieces(b"old"))
    async with open_storage(settings(tmp_path, bucket)) as storage:
        new = await storage.files.create(file(), pieces(b"new"))
        same = await storage.files.create(file(), pieces(b"old"))
        assert [await whole(storage.files.content(OWNER, one.id)) for one in (old, new, same)] == [
            b"old",
            b"new",
            b"old",
        ]
        assert list(s3.objects(bucket.bucket)) == [new.id]
    async with open_storage(settings(tmp_path, bucket, "database")) as storage:
        last = await storage.files.create(file(), pieces(b"last"))
        assert [await whole(storage.files.content(OWNER, one.id)) for one in (new, last)] == [b"new", b"last"]
        assert list(s3.objects(bucket.bucket)) == [new.id]
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        with pytest.raises(SettingsError, match=r"files\.s3"):
            await whole(storage.files.content(OWNER, new.id))
        await storage.files.delete(OWNER, new.id)  # its content stays until the store is named again
    async with open_storage(settings(tmp_path, bucket)) as storage:
        await storage.files.sweep()
        assert s3.objects(bucket.bucket) == {}


async def test_a_bucket_that_is_not_there_is_named(s3: S3Server) -> None:
    bucket = s3.bucket().model_copy(update={"bucket": "no-such-bucket"})
    with pytest.raises(StorageUnavailable, match="no-such-bucket"):
        await S3Contents(settings=bucket).check()
    await S3Contents(settings=s3.bucket()).check()


async def test_uploads_that_broke_off_are_aborted(s3: S3Server, tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield random.Random(1).randbytes(2 * PART)
        raise ConnectionResetError

    bucket = s3.bucket()
    async with open_storage(settings(tmp_path, bucket)) as storage:
        with pytest.raises(ConnectionResetError):
            await storage.files.create(file(), breaks())
        (left,) = s3.unfinished(bucket.bucket)
        assert left.startswith("file_")
        others = ["another-program/file_1", "files of another program/1"]
        for key in others:
            s3.begin(bucket.bucket, key.replace(" ", "%20"))
        await storage.files.sweep()
        assert s3.unfinished(bucket.bucket) == others
        assert s3.objects(bucket.bucket) == {}


async def test_only_old_uploads_of_ones_own_are_aborted(s3: S3Server) -> None:
    bucket = s3.bucket(prefix="/of portal+/")
    contents = S3Contents(settings=bucket)
    for key in ("of%20portal%2B/file_1", "of%20portal%2B/file_2", "file_3"):
        s3.begin(bucket.bucket, key)
    assert await contents.clear(before=0) == 0, "they were begun after that"
    assert await contents.clear(micros() - DAY) == 2
    assert s3.unfinished(bucket.bucket) == ["file_3"]
    assert await S3Contents(settings=s3.bucket(key="", secret=None)).clear(micros()) == 0


async def test_a_store_that_is_away_keeps_nothing_else_from_being_swept(tmp_path: Path) -> None:
    with s3_server() as server:
        bucket = server.bucket()
        async with open_storage(settings(tmp_path, bucket)) as storage:
            server.stop()
            with pytest.raises(StorageUnavailable, match="cannot be aborted"):
                await S3Contents(settings=bucket).clear(micros())
            await storage.files.sweep()
            server.start()


async def test_long_lists_of_uploads_and_refusals() -> None:
    pages = iter([("file_1", "true", "2020-01-01T00:00:00.000Z"), ("file_2", "false", "2020-01-01T00:00:00Z")])
    asked: list[tuple[str, dict[str, str]]] = []

    async def bucket(request: web.Request) -> web.Response:
        asked.append((request.method, dict(request.query)))
        assert "AWS4-HMAC-SHA256 Credential=a/" in request.headers["Authorization"]
        if request.method == "DELETE":
            return web.Response(status=404)
        try:
            key, more, begun = next(pages)
        except StopIteration:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        upload = f"<Upload><Key>{key}</Key><UploadId>id/{key}</UploadId><Initiated>{begun}</Initiated></Upload>"
        marks = f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>id/{key}</NextUploadIdMarker>"
        ending = f"<IsTruncated>{more}</IsTruncated>{marks}"
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        return web.Response(text=f'<Listed xmlns="{space}">{upload}{ending}</Listed>')

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bucket)
    async with TestServer(app) as server:
        where = {"bucket": "b", "endpoint": str(server.make_url("")), "key": "a", "secret": SecretStr("s")}
        contents = S3Contents(settings=S3Settings.model_validate(where))
        assert await contents.clear(micros()) == 2
        assert asked == [
            ("GET", {"uploads": "", "prefix": "file_"}),
            ("GET", {"uploads": "", "prefix": "file_", "key-marker": "file_1", "upload-id-marker": "id/file_1"}),
            ("DELETE", {"uploadId": "id/file_1"}),
            ("DELETE", {"uploadId": "id/file_2"}),
        ]
        with pytest.raises(StorageUnavailable, match="AccessDenied"):
            await contents.clear(micros())


@asynccontextmanager
async def store_that_says(listed: Sequence[bytes]) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """The address of a store that sends its list of uploads in these pieces, and what it is asked."""
    asked: list[web.Request] = []

    async def bucket(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        if request.method == "DELETE":
            return web.Response(status=204)
        answer = web.StreamResponse()
        await answer.prepare(request)
        for piece in listed:
            await answer.write(piece)
            await asyncio.sleep(0.05)  # so that one piece alone is there to be read
        return answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bucket)
    async with TestServer(app) as server:
        yield str(server.make_url("")), asked


def listed(count: int) -> bytes:
    begun = "<Initiated>2020-01-01T00:00:00Z</Initiated>"
    uploads = (f"<Upload><Key>file_{n}</Key><UploadId>{n}</UploadId>{begun}</Upload>" for n in range(count))
    return f"<Listed>{''.join(uploads)}<IsTruncated>false</IsTruncated></Listed>".encode()


def at(endpoint: str) -> S3Contents:
    where = {"bucket": "b", "endpoint": endpoint, "key": "a", "secret": SecretStr("s")}
    return S3Contents(settings=S3Settings.model_validate(where))


async def test_a_list_of_uploads_that_comes_in_pieces_is_read_to_its_end() -> None:
    whole = listed(20)
    async with store_that_says([whole[:700], whole[700:]]) as (endpoint, asked):
        assert await at(endpoint).clear(micros()) == 20
        assert [one.query["uploadId"] for one in asked[1:]] == [str(n) for n in range(20)]


async def test_a_list_of_uploads_without_end_is_given_up() -> None:
    async with store_that_says([bytes(2**20)] * 9) as (endpoint, _):
        with pytest.raises(StorageUnavailable, match="too long"):
            await at(endpoint).clear(micros())


async def test_uploads_are_aborted_by_the_key_of_the_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with store_that_says([listed(1)]) as (endpoint, asked):
        assert await at(endpoint).clear(micros()) == 1
        assert all(one.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=a/") for one in asked)


async def test_uploads_are_aborted_through_the_proxy_that_objects_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    async with store_that_says([listed(1)]) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        assert await at("http://store.invalid").clear(micros()) == 1
        assert [str(one.url.origin()) for one in asked] == ["http://store.invalid"] * 2


@pytest.mark.parametrize("path_style", [True, False])
def test_requests_are_signed_as_amazon_does(path_style: bool) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    chosen = {"bucket": "b", "region": "eu-west-1", "key": "AKID", "secret": SecretStr("s/+"), "path_style": path_style}
    uploads = Uploads(S3Settings.model_validate(chosen))
    host = "s3.eu-west-1.amazonaws.com/b" if path_style else "b.s3.eu-west-1.amazonaws.com"
    assert uploads.base == f"https://{host}"
    for path, query in (("/", "prefix=of%20portal%2Ffile&uploads="), ("/of%20portal%2B/file_1", "uploadId=a%2Fb")):
        url = f"{uploads.base}{path}?{query}"
        ours = uploads.signed("GET", url, datetime.now(UTC))
        theirs = AWSRequest("GET", url)
        theirs.context["timestamp"] = ours["x-amz-date"]
        theirs.context["payload_signing_enabled"] = True
        signer = S3SigV4Auth(Credentials("AKID", "s/+"), "s3", "eu-west-1")
        theirs.headers["X-Amz-Date"] = ours["x-amz-date"]
        theirs.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
        canonical = signer.canonical_request(theirs)
        signature = signer.signature(signer.string_to_sign(theirs, canonical), theirs)
        assert ours["Authorization"].endswith(f"Signature={signature}")


def test_settings_that_name_no_bucket() -> None:
    with pytest.raises(SettingsError, match="names no bucket"):
        contents_of(FileSettings(store="s3"))
    assert contents_of(FileSettings()) is None


async def test_uploads_at_once(s3: S3Server, tmp_path: Path) -> None:
    async with open_storage(settings(tmp_path, s3.bucket())) as storage, asyncio.TaskGroup() as group:
        tasks = [group.create_task(storage.files.create(file(), pieces(bytes([n]) * 100))) for n in range(20)]
    assert len({task.result().sha256 for task in tasks}) == 20
