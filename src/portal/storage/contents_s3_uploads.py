"""Uploads to a bucket that broke off: found and aborted by two requests of S3's own API, which obstore does not have.

A large object goes up in parts, which are kept, and paid for, until the upload is completed or aborted.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import aiohttp
from yarl import URL

from portal.errors import StorageUnavailable
from portal.settings.files import S3Settings
from portal.settings.proxy import proxy_of

SECONDS = 20.0
"""That one request may take."""
_LARGEST = 8 * 2**20
"""Bytes of a list of a thousand uploads."""
_NOTHING = hashlib.sha256(b"").hexdigest()
_GONE = 404


@dataclass(frozen=True, slots=True)
class Upload:
    """One that is not completed; `since` in microseconds, by the store's clock."""

    key: str
    id: str
    since: int


class Uploads:
    """Those of a bucket. Needs the key of the settings: the rights of a machine are obstore's alone."""

    def __init__(self, settings: S3Settings) -> None:
        """Nothing is asked of the store yet."""
        self._settings = settings
        self._secret = settings.secret.get_secret_value() if settings.secret else ""
        base = settings.endpoint.rstrip("/")
        if settings.path_style:
            base = f"{base or f'https://s3.{settings.region}.amazonaws.com'}/{settings.bucket}"
        self.base = base or f"https://{settings.bucket}.s3.{settings.region}.amazonaws.com"
        prefix = settings.prefix.strip("/")
        self._names = f"{prefix}/file_" if prefix else "file_"
        """What the names of Portal's objects begin with."""

    async def abort(self, before: int) -> int:
        """Those that were begun before then, in microseconds; how many there were. Raises StorageUnavailable."""
        if not (self._settings.key and self._secret):
            return 0
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout, proxy=proxy_of(self.base)) as session:
                old = [one async for one in self._listed(session) if one.since < before]
                for one in old:
                    await self._ask(session, "DELETE", f"/{quote(one.key, safe='/-_.~')}", {"uploadId": one.id})
        except (aiohttp.ClientError, TimeoutError, ElementTree.ParseError, ValueError) as error:
            bucket = self._settings.bucket
            said = str(error) or "it does not answer"
            raise StorageUnavailable(
                f"Unfinished uploads in the bucket {bucket!r} cannot be aborted: {said}"
            ) from error
        return len(old)

    async def _listed(self, session: aiohttp.ClientSession) -> AsyncIterator[Upload]:
        marks: dict[str, str] = {}
        while True:
            told = await self._ask(session, "GET", "/", {"uploads": "", "prefix": self._names, **marks})
            root = ElementTree.fromstring(told)  # noqa: S314 - of the store that the settings name, and bounded
            space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
            for one in root.iter(f"{space}Upload"):
                begun = datetime.fromisoformat(one.findtext(f"{space}Initiated", ""))
                key, identity = one.findtext(f"{space}Key", ""), one.findtext(f"{space}UploadId", "")
                if key.startswith(self._names):  # not every store looks at `prefix`
                    yield Upload(key, identity, round(begun.timestamp() * 1_000_000))
            if root.findtext(f"{space}IsTruncated") != "true":
                return
            marks = {
                "key-marker": root.findtext(f"{space}NextKeyMarker", ""),
                "upload-id-marker": root.findtext(f"{space}NextUploadIdMarker", ""),
            }

    async def _ask(self, session: aiohttp.ClientSession, method: str, path: str, query: Mapping[str, str]) -> bytes:
        """One that is gone meanwhile is as well as aborted."""
        url = f"{self.base}{path}?{_encoded(query)}"
        headers = self.signed(method, url, datetime.now(UTC))
        async with session.request(method, URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
            body = await _whole(answer)
            if answer.status >= 300 and not (method == "DELETE" and answer.status == _GONE):
                raise ValueError(f"{answer.status} {body[:300].decode(errors='replace')}")
            return body

    def signed(self, method: str, url: str, now: datetime) -> dict[str, str]:
        """The headers of a request without a body, by AWS's signature of version 4."""
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        place = urlsplit(url)
        headers = {"host": place.netloc, "x-amz-content-sha256": _NOTHING, "x-amz-date": stamp}
        names = ";".join(headers)
        lines = (method, place.path, place.query, *(f"{name}:{value}" for name, value in headers.items()))
        whole = "\n".join([*lines, "", names, _NOTHING])
        scope = f"{day}/{self._settings.region}/s3/aws4_request"
        what = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(whole.encode()).hexdigest()])
        signature = _keyed(f"AWS4{self._secret}".encode(), [*scope.split("/"), what]).hex()
        credential = f"Credential={self._settings.key}/{scope}"
        authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "Authorization": authorization}


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(2**16):
        body += piece
        if len(body) > _LARGEST:
            raise ValueError("its answer is too long")
    return bytes(body)


def _encoded(query: Mapping[str, str]) -> str:
    """In the one order and spelling that is signed."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))


def _keyed(key: bytes, texts: Sequence[str]) -> bytes:
    for text in texts:
        key = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return key
