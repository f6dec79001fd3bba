"""What collections follow, as people manage it: folders that the owner of this machine grants, and addresses."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from portal.core.clock import micros
from portal.core.collections import SourceRecord, Sources
from portal.core.ids import new_id
from portal.errors import BadRequest, Forbidden


class Grants:
    """Which folders may be followed, by whom."""

    def __init__(self, *, granted: Sequence[Path], own: Path) -> None:
        """`granted` ones by whoever has a key; what is in Portal's `own` folder by nobody."""
        self.granted = [one.expanduser().resolve() for one in granted]
        self._own = own.resolve()

    def check(self, real: Path, *, trusted: bool) -> None:
        """Raises Forbidden, whether or not a folder is there; `real` is resolved."""
        if real.is_relative_to(self._own):
            raise Forbidden("Portal's own data is nobody's document.")
        if not trusted and not any(_is_open(real, one) for one in self.granted):
            raise Forbidden(
                f"The folder {real} is not among those that may be watched. Add it to the setting knowledge.folders, "
                "or watch it from the terminal of that machine: portal knowledge watch"
            )

    def check_again(self, source: SourceRecord) -> None:
        """Whether its folder may be followed still, and is where it was. Raises Forbidden."""
        real, trusted = Path(os.path.realpath(source.place)), bool(source.state.get("trusted"))
        if not trusted and str(real) != source.place:
            raise Forbidden(f"{source.place} has become a link to elsewhere.")
        self.check(real, trusted=trusted)


def _is_open(real: Path, granted: Path) -> bool:
    """Whether it is below the granted one, and not hidden there."""
    return real.is_relative_to(granted) and not any(part.startswith(".") for part in real.relative_to(granted).parts)


class Places:
    """Implements the Places port of the doors."""

    def __init__(self, *, sources: Sources, grants: Grants, look: Callable[[str], None]) -> None:
        """`look` lets all of an owner's be looked at soon."""
        self._sources, self._grants, self.look = sources, grants, look
        self.granted = grants.granted

    async def list(self, owner: str, collection_id: str | None = None) -> Sequence[SourceRecord]:
        """See Places."""
        return await self._sources.list(owner, collection_id)

    async def follow(self, owner: str, collection_id: str, place: str, *, trusted: bool) -> SourceRecord:
        """See Places."""
        try:
            address = urlsplit(place).scheme in ("http", "https")
        except ValueError as error:
            raise _no_folder(place) from error
        source = SourceRecord(
            id=new_id("src"),
            owner=owner,
            collection_id=collection_id,
            kind="url" if address else "folder",
            place=place if address else await asyncio.to_thread(self._folder, place, trusted),
            created_at=micros(),
            state={"trusted": True} if trusted else {},
        )
        await self._sources.add(source)
        self.look(owner)
        return source

    async def leave(self, owner: str, source_id: str, *, documents: bool) -> None:
        """See Places."""
        await self._sources.remove(owner, source_id, documents=documents)

    def _folder(self, place: str, trusted: bool) -> str:
        """What nobody granted is refused whether or not it is there."""
        try:
            path = Path(place).expanduser()
            real = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise _no_folder(place) from error
        if not path.is_absolute():
            raise _no_folder(place)
        self._grants.check(real, trusted=trusted)
        if not real.is_dir():
            raise _no_folder(place)
        return str(real)


def _no_folder(place: str) -> BadRequest:
    message = f"{place!r} is no address, nor the whole path of a folder on the machine that Portal runs on."
    return BadRequest(message, param="place", code="invalid_value")
