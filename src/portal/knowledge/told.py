"""Found passages as models, clients and people are told them."""

from collections.abc import Mapping, Sequence

from portal.core.collections import DocumentRecord, Documents
from portal.core.items import JsonObject
from portal.core.passages import Found
from portal.core.recall import Source
from portal.core.tokens import estimate

_FRAME = 30
"""Tokens of a source's number and name."""


async def documents_of(documents: Documents, owner: str, found: Sequence[Found]) -> Mapping[str, DocumentRecord]:
    """The documents of passages that are there still, by id."""
    ids = list(dict.fromkeys(one.passage.document for one in found))
    records = await documents.find(owner, ids=ids) if ids else ()
    return {record.id: record for record in records}


def source(found: Found, document: DocumentRecord) -> Source:
    """What an answer can cite."""
    passage = found.passage
    return Source(
        passage_id=passage.id,
        document_id=document.file_id,
        title=document.filename,
        text=passage.told,
        page=passage.page,
    )


def cost(one: Source) -> int:
    """Tokens that a source takes."""
    return cost_of(one.text)


def cost_of(text: str) -> int:
    """Tokens that a source of this text takes."""
    return estimate(text) + _FRAME


def fitting(sources: Sequence[Source], room: int) -> list[Source]:
    """The first ones that fit into so many tokens; of a single long one as much as fits."""
    kept: list[Source] = []
    for one in sources:
        room -= cost(one)
        if room < 0:
            break
        kept.append(one)
    return kept


def result(found: Found, document: DocumentRecord, *, text: bool) -> JsonObject:
    """One result of a `file_search_call`, with its text or only where it stands."""
    passage = found.passage
    made: JsonObject = {
        "file_id": document.file_id,
        "filename": document.filename,
        "score": round(found.score, 4),
        "portal:passage_id": passage.id,
    }
    if passage.page is not None:
        made["portal:page"] = passage.page
    return {**made, "attributes": document.attributes, "text": passage.told} if text else made
