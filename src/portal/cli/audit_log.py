"""Lines of the audit, the newest first and a page at a time: from the running server, else from the database."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from portal.cli.options import data_folder, read_settings
from portal.cli.server_file import running

_AT_ONCE = 200
Page = dict[str, Any]


def lines(data_dir: Path | None, *, limit: int | None, since: float) -> Iterator[dict[str, Any]]:
    """At most `limit` of them, none older than `since` in Unix seconds. Raises PortalError."""
    left = limit
    for page in _pages(data_dir):
        wanted = [one for one in page["data"] if one["at"] >= since]
        yield from wanted[:left]
        if left is not None:
            left -= len(wanted)
            if left <= 0:
                return
        if page["data"] and not wanted:
            return


def _pages(data_dir: Path | None) -> Iterator[Page]:
    server = running(data_folder(data_dir))
    if server is not None:
        client = server.client()
        yield from _after_each_other(lambda cursor: client.get("/portal/v1/audit/log", limit=_AT_ONCE, **cursor))
    else:
        yield from _stored(data_dir)


def _stored(data_dir: Path | None) -> Iterator[Page]:
    import asyncio

    from portal.interfaces.web import views
    from portal.storage.open import open_storage

    with asyncio.Runner() as runner:
        opened = open_storage(read_settings(data_dir))
        audit = runner.run(opened.__aenter__()).audit
        try:
            yield from _after_each_other(
                lambda cursor: views.page(runner.run(audit.whole(limit=_AT_ONCE, **cursor)), views.audit)
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))


def _after_each_other(ask: Callable[[dict[str, str]], Page]) -> Iterator[Page]:
    page = ask({})
    yield page
    while cursor := page["next"]:
        page = ask({"cursor": cursor})
        yield page
