"""Forms with a file, as uploads and recordings come."""

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from portal.errors import BadRequest

_LARGEST_FIELD = 8 * 2**20
"""Bytes of what is no file: voices of known speakers come as data URLs."""


async def read_form(request: Request, what: str) -> FormData:
    """The multipart form; a large file waits on disk, not in memory. Close it.

    Raises:
        BadRequest: it is none, and `what` is sent as one.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequest(f"{what} are uploaded as multipart/form-data.", code="invalid_content_type")
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=1, max_fields=20, max_part_size=_LARGEST_FIELD
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise BadRequest(f"We could not parse the form of your request: {error.message}") from error
