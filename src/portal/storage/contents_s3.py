"""Contents in a bucket of an S3-compatible store, one object for each, through obstore."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

from portal.errors import NotFound, SettingsError, StorageUnavailable
from portal.extras import add_command
from portal.settings.files import S3Settings
from portal.storage.contents_s3_uploads import Uploads

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store
except ImportError as error:
    raise SettingsError(f"`files.s3` needs the extra `s3`: `{add_command('s3')}`.") from error

CHUNK = 2**20
WINDOW = 4 * 2**20
"""Bytes read by one request."""
PART = 8 * 2**20
"""Of a large upload; what is smaller goes in one request."""
PARTS_AT_ONCE = 2
RETRIES = 4
SECONDS = 20
"""Until a request that fails again and again is given up."""
CHECK = "check"
"""The name of an object that says that the bucket can be written to."""


class S3Contents:
    """The Contents port."""

    place = "s3"

    def __init__(self, *, settings: S3Settings, retries: int = RETRIES) -> None:
        """Nothing is asked of the store yet. Raises SettingsError."""
        self._uploads = Uploads(settings)
        self._where = f"The bucket {settings.bucket!r} at {settings.endpoint or 'AWS'}"
        options: dict[str, str | bool | None] = {
            "endpoint": settings.endpoint or None,
            "region": settings.region,
            "access_key_id": settings.key,
            "secret_access_key": settings.secret.get_secret_value() if settings.secret else None,
            "virtual_hosted_style_request": not settings.path_style,
        }
        try:
            self._store = S3Store(
                settings.bucket,
                prefix=settings.prefix or None,
                client_options={
                    "allow_http": settings.endpoint.startswith("http://"),
                    "connect_timeout": "5s",
                    "timeout": "60s",
                },
                retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=SECONDS)},
                **{name: value for name, value in options.items() if value not in (None, "")},  # type: ignore[arg-type]
            )
        except BaseError as error:
            raise SettingsError(f"`files.s3` is not usable: {error}") from error

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """See Contents. Parts of what broke off are there until `clear`."""
        with self._translated(name):
            writer = obstore.open_writer_async(self._store, name, buffer_size=PART, max_concurrency=PARTS_AT_ONCE)
        async for piece in pieces:
            with self._translated(name):
                await writer.write(piece)
        with self._translated(name):
            await writer.close()

    async def get(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """See Contents."""
        for first in range(start, end, WINDOW):
            with self._translated(name):
                window = await obstore.get_range_async(self._store, name, start=first, end=min(first + WINDOW, end))
            view = memoryview(window)
            for at in range(0, len(view), CHUNK):
                yield bytes(view[at : at + CHUNK])

    async def delete(self, name: str) -> None:
        """See Contents."""
        with self._translated(name):
            await obstore.delete_async(self._store, name)

    async def clear(self, before: int) -> int:
        """See Contents. Without a key in the settings it is for a rule of the bucket."""
        return await self._uploads.abort(before)

    async def check(self) -> None:
        """See Contents."""
        with self._translated(CHECK):
            await obstore.put_async(self._store, CHECK, b"Portal was here.")

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if name == CHECK:
                raise StorageUnavailable(f"{self._where} is not there: make it, or name another one.") from error
            raise NotFound(f"The content of the file {name!r} is not in the file store any more.") from error
        except (BaseError, OSError, ValueError) as error:
            said = str(error).split("\n")[0][:300]
            raise StorageUnavailable(f"{self._where}, where files are kept, cannot be used: {said}") from error
