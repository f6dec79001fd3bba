"""Knowledge: collections of documents, filling them, watching folders, looking things up."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from portal.cli.agreeing import agreed
from portal.cli.client import Client, segment
from portal.cli.counted import counted
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.progress import Progress
from portal.cli.server_file import need_running
from portal.errors import PortalError

_ADDRESS = "/portal/v1/knowledge"
_STORES = "/v1/vector_stores"
_FIRST = "Documents"
"""The collection that is made where there is none."""
_AT_ONCE = 200
"""Files of one batch."""
_PAUSE = 0.5
_SHOWN = 300

collection_option = click.option(
    "-c", "--collection", help="Name or id of the collection; not needed where there is only one."
)


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.group()
def knowledge() -> None:
    """Documents that models look things up in: add files, folders and addresses, see how far they are, search."""


@knowledge.command("list")
@data_dir_option
def list_collections(data_dir: Path | None) -> None:
    """Show every collection: name, documents, size, id."""
    found = _client(data_dir).get(_ADDRESS)
    for one in [*found["collections"], *found["chats"]]:
        name = f"{one['name'] or '-'}{' (of a chat or folder)' if one['conversation'] else ''}"
        click.echo(f"{name}\t{_counted(one)}\t{one['usage_bytes'] / 2**20:,.1f} MB\t{one['id']}")
    if not found["collections"]:
        click.echo(f"There are no collections: {called_as()} knowledge add FILE", err=True)


@knowledge.command()
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@data_dir_option
def create(name: str, description: str, data_dir: Path | None) -> None:
    """Make an empty collection."""
    client = _client(data_dir)
    if not name.strip():
        raise PortalError("A collection needs a name.")
    if known := [one["id"] for one in client.get(_ADDRESS)["collections"] if one["name"] == name]:
        raise PortalError(f"There is a collection {name!r} already: {known[0]}")
    click.echo(_create(client, name, description)["id"])


@knowledge.command()
@click.argument("places", nargs=-1, required=True, metavar="PATH|URL...")
@collection_option
@click.option("--detach", is_flag=True, help="Do not wait until everything is read.")
@data_dir_option
def add(places: tuple[str, ...], collection: str | None, detach: bool, data_dir: Path | None) -> None:
    """Add files, folders and addresses to a collection, and wait until they are read.

    Folders and addresses are followed from then on: what is new, changed, moved or deleted there is so in the
    collection. Files are taken as they are now.
    """
    client = _client(data_dir)
    known = [Path(place) for place in places if not _is_address(place)]
    for path in known:
        if not path.exists():
            raise PortalError(f"There is no file or folder {path}.")
    store = _chosen(client, collection, create=True)
    before = store["file_counts"]
    followed = [place if _is_address(place) else str(Path(place).resolve()) for place in places if _follows(place)]
    sources = dict(_follow(client, store["id"], place) for place in followed)
    plain = [path for path in known if path.is_file()]
    added: set[str] = set()
    for start in range(0, len(plain), _AT_ONCE):
        fresh = _fresh(client, store, plain[start : start + _AT_ONCE])
        if not fresh:
            continue
        files = [client.upload(path, "user_data")["id"] for path in fresh]
        client.send("POST", f"{_STORES}/{store['id']}/file_batches", {"file_ids": files})
        added.update(files)
    if detach:
        click.echo(f"It goes on in the background: {called_as()} knowledge status", err=True)
    else:
        _wait(client, store, settled=before["total"] - before["in_progress"], sources=sources, files=added)


@knowledge.command()
@click.argument("places", nargs=-1, required=True, metavar="FOLDER|URL...")
@collection_option
@data_dir_option
def watch(places: tuple[str, ...], collection: str | None, data_dir: Path | None) -> None:
    """Follow folders and addresses from now on, without waiting."""
    client = _client(data_dir)
    store = _chosen(client, collection, create=True)
    for place in (one if _is_address(one) else str(Path(one).resolve()) for one in places):
        _follow(client, store["id"], place)
        click.echo(f"{place} -> {store['name'] or store['id']}", err=True)


@knowledge.command()
@click.argument("place", metavar="FOLDER|URL")
@click.option("--forget", is_flag=True, help="Also forget the documents that came from there.")
@data_dir_option
def unwatch(place: str, forget: bool, data_dir: Path | None) -> None:
    """Follow a folder or address no more. What came from there stays, unless you say --forget."""
    client = _client(data_dir)
    names = {place} if _is_address(place) else {place, str(Path(place).resolve())}
    found = [one for one in client.get(_ADDRESS)["sources"] if one["place"] in names or one["id"] == place]
    if not found:
        raise PortalError(f"Nothing follows {place}.")
    for one in found:
        client.send("DELETE", f"{_ADDRESS}/sources/{segment(one['id'])}?documents={str(forget).lower()}")
        click.echo(f"{one['place']} is not followed any more.", err=True)


@knowledge.command()
@data_dir_option
def status(data_dir: Path | None) -> None:
    """Show how far everything is, what could not be read and why, and what turns text into vectors."""
    client = _client(data_dir)
    found = client.get(_ADDRESS)
    _tell_embedder(found["embedder"])
    for one in found["collections"]:
        click.echo(f"{one['name'] or one['id']}: {_counted(one)}")
        if one["file_counts"]["failed"]:
            _tell_failures(_documents(client, one["id"], status="failed"))
    for one in found["sources"]:
        click.echo(f"watched: {one['place']}{': ' + one['error'] if one['error'] else ''}")


@knowledge.command()
@click.argument("model", required=False)
@data_dir_option
def embedder(model: str | None, data_dir: Path | None) -> None:
    """Show what turns text into vectors, or change to another MODEL; `packaged` is the one that Portal brings.

    Documents are embedded anew in the background, while the old vectors answer.
    """
    client = _client(data_dir)
    if model is not None:
        client.send("PUT", "/portal/v1/embedder", {"model": "" if model == "packaged" else model})
    view = client.get("/portal/v1/embedder")
    _tell_embedder(view)
    for one in view["choices"]:
        click.echo(one)


@knowledge.command()
@click.argument("text")
@collection_option
@click.option("-n", "--limit", default=5, show_default=True, help="How many passages at most.")
@data_dir_option
def search(text: str, collection: str | None, limit: int, data_dir: Path | None) -> None:
    """Look something up: the passages that answer best, by words and by meaning."""
    client = _client(data_dir)
    body: dict[str, Any] = {"query": text, "limit": limit}
    if collection:
        body["collections"] = [_chosen(client, collection)["id"]]
    found = client.send("POST", f"{_ADDRESS}/search", body)["data"]
    for one in found:
        page = f", page {one['page']}" if one["page"] else ""
        weak = "  (weak match)" if one["weak"] else ""
        click.echo(f"{one['score']:.2f}  {one['document']['filename']}{page}  {' > '.join(one['heading'])}{weak}")
        shown = " ".join(_plain(one["text"]).split())
        click.echo(f"      {shown[:_SHOWN]}{'...' if len(shown) > _SHOWN else ''}")
    if not found:
        raise PortalError("Nothing was found.")


@knowledge.command()
@collection_option
@data_dir_option
def show(collection: str | None, data_dir: Path | None) -> None:
    """Show the documents of a collection and the places that it follows."""
    client = _client(data_dir)
    store = _chosen(client, collection)
    for one in _documents(client, store["id"]):
        how = one["error"]["message"] if one["error"] else counted(one["passages_count"], "passage")
        click.echo(f"{one['status']}\t{one['filename']}\t{_plain(one['place'])}\t{how}\t{one['file_id']}")
        for line in _plain(one["note"]).splitlines():
            click.echo(f"\t{line}")
    for one in client.get(f"{_ADDRESS}/{segment(store['id'])}/sources")["data"]:
        click.echo(f"watched\t{one['place']}\t{one['error']}")


@knowledge.command()
@click.argument("files", nargs=-1)
@collection_option
@click.option("--all", "everything", is_flag=True, help="The whole collection, with all its files.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def remove(files: tuple[str, ...], collection: str | None, everything: bool, yes: bool, data_dir: Path | None) -> None:
    """Forget documents (by file name or id) with their files, or with --all a whole collection."""
    client = _client(data_dir)
    store = _chosen(client, collection)
    if everything:
        question = f"Forget {store['name'] or store['id']} and its {_counted(store)}?"
        agreed(question, yes=yes, otherwise="Nothing was forgotten")
        client.send("DELETE", f"{_ADDRESS}/{segment(store['id'])}?files=true")
        click.echo(f"Forgot {store['name'] or store['id']}.", err=True)
        return
    found = [
        one for one in _documents(client, store["id"]) if {one["filename"], one["file_id"], one["place"]} & {*files}
    ]
    if not found:
        raise PortalError("There is no such document in this collection; name one, or say --all.")
    for one in found:
        client.send("DELETE", f"/v1/files/{segment(one['file_id'])}")
        click.echo(f"Forgot {one['filename']}.", err=True)


@knowledge.command()
@collection_option
@data_dir_option
def retry(collection: str | None, data_dir: Path | None) -> None:
    """Read once more what failed or was cancelled, and wait."""
    client = _client(data_dir)
    store = _chosen(client, collection)
    client.send("POST", f"{_ADDRESS}/{segment(store['id'])}/retry", {})
    _wait(client, store, settled=store["file_counts"]["completed"], sources={}, files=None)


def _is_address(place: str) -> bool:
    return urlsplit(place).scheme in ("http", "https")


def _follows(place: str) -> bool:
    return _is_address(place) or Path(place).is_dir()


def _follow(client: Client, store_id: str, place: str) -> tuple[str, float]:
    """Id of the watched place, and since when it is about to be looked at; one followed already is as good."""
    try:
        made = client.send("POST", f"{_ADDRESS}/{segment(store_id)}/sources", {"place": place})
        return made["id"], made["created_at"]
    except PortalError as error:
        if error.status != 409:
            raise
        known = client.get(f"{_ADDRESS}/{segment(store_id)}/sources")["data"]
        return next(one["id"] for one in known if one["place"] == place), client.send("POST", f"{_ADDRESS}/look")["at"]


def _fresh(client: Client, store: dict[str, Any], paths: list[Path]) -> list[Path]:
    """Those whose content is not in the collection; says so of the others. What failed may be added anew."""
    there = {one["sha256"] for one in _documents(client, store["id"]) if one["status"] in ("completed", "in_progress")}
    found: dict[str, Path] = {}
    for path in paths:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        if content in there or content in found:
            click.echo(f"{path.name} is in {store['name'] or store['id']} already: it is kept once.", err=True)
        else:
            found[content] = path
    return list(found.values())


def _create(client: Client, name: str, description: str = "") -> dict[str, Any]:
    return client.send("POST", _STORES, {"name": name, "description": description})


def _chosen(client: Client, wanted: str | None, *, create: bool = False) -> dict[str, Any]:
    """The collection that is meant. Raises PortalError."""
    there = client.get(_ADDRESS)
    known: list[dict[str, Any]] = there["collections"]
    found = [one for one in known if wanted in (None, one["name"], one["id"])]
    found += [one for one in there["chats"] if wanted == one["id"]]
    if len(found) == 1:
        return found[0]
    if not found and create:
        return _create(client, wanted or _FIRST)
    names = ", ".join([one["id"] for one in found] if wanted and found else [one["name"] or one["id"] for one in known])
    what = f"{wanted!r} is " + ("more than one collection" if found else "no collection") if wanted else "Say which one"
    raise PortalError(f"{what}: -c with one of {names or 'none'}.")


def _wait(
    client: Client, store: dict[str, Any], *, settled: int, sources: Mapping[str, float], files: Set[str] | None
) -> None:
    """Until these places are looked at and everything is read; `settled` documents were so before.

    Raises:
        PortalError: one of these places or files, or of all with None, could not be read.
    """
    place = f"{_STORES}/{segment(store['id'])}"
    with Progress("read", unit="documents") as progress:
        while True:
            followed = client.get(f"{_ADDRESS}/{segment(store['id'])}/sources")["data"]
            unseen = [one for one in followed if (one["checked_at"] or 0) < sources.get(one["id"], 0)]
            counts = client.get(place)["file_counts"]
            if not unseen:
                total = max(counts["total"] - settled, counts["in_progress"])
                progress.show(total - counts["in_progress"], total)
                if not counts["in_progress"]:
                    break
            time.sleep(_PAUSE)
    troubled = [one for one in followed if one["id"] in sources and one["error"]]
    for one in troubled:
        click.echo(f"{one['place']}: {one['error']}", err=True)
    places = [one["place"] for one in followed if one["id"] in sources]
    failed = [
        one
        for one in (_documents(client, store["id"], status="failed") if counts["failed"] else ())
        if files is None or one["file_id"] in files or _is_from(one["place"], places)
    ]
    _tell_failures(failed)
    if failed or troubled:
        raise PortalError(f"{len(failed) + len(troubled)} could not be read.")


def _is_from(place: str, followed: Sequence[str]) -> bool:
    return any(place == one or place.startswith(one.rstrip("/") + "/") for one in followed)


def _tell_embedder(view: dict[str, Any]) -> None:
    click.echo(f"embedder: {view['name'] or 'none'}{'' if view['available'] else ' (away)'}")
    if view["wanted"] != view["name"]:
        click.echo(f"changing to {view['wanted']}: {counted(view['waiting'], 'passage')} to go")
    if view["detail"]:
        click.echo(f"  {view['detail']}")
    if view["suggested"]:
        click.echo(f"  {view['suggested']} knows more languages: {called_as()} knowledge embedder {view['suggested']}")


def _tell_failures(failed: Iterable[dict[str, Any]]) -> None:
    for one in failed:
        click.echo(f"  {one['filename']}: {one['error']['message']}", err=True)


def _documents(client: Client, store_id: str, **query: str) -> Iterator[dict[str, Any]]:
    more: dict[str, str] = {}
    while True:
        page = client.get(f"{_ADDRESS}/{segment(store_id)}/documents", limit=200, **query, **more)
        yield from page["data"]
        if page["next"] is None:
            return
        more = {"cursor": page["next"]}


def _counted(store: dict[str, Any]) -> str:
    counts = store["file_counts"]
    told = [counted(counts["total"], "document")]
    told += [
        f"{counts[name]} {name.replace('_', ' ')}" for name in ("in_progress", "failed", "cancelled") if counts[name]
    ]
    return ", ".join(told)


def _plain(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")
