"""Turns as passages: what was asked and answered, with what was said just before, so that both are found together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from portal.core.items import Item, JsonObject, text_of
from portal.core.passages import Passage
from portal.core.records import StoredItem
from portal.errors import Conflict
from portal.storage.database import Database, Row, Statement
from portal.storage.key_values import StoredKeyValues
from portal.storage.memories import Index
from portal.storage.rows import from_json

_PIECE = 1200
"""Characters of a turn in one passage."""
_ASKED = 200
"""Of the question, before each piece of a long answer but the first."""
_BEFORE = 300
"""Of the question and the answer before it, each."""
_MOST = 40
"""Pieces of one turn."""
_AT_ONCE = 20
_PROGRESS = "turns.indexed"

ITEMS = """
SELECT i.response_id, i.side, i.position, i.item FROM items i
WHERE i.response_id IN (:response_id, :previous_id) ORDER BY i.side, i.position"""

# Only while it is as it was read: what is deleted meanwhile must not come back.
THERE = {"sqlite": "SELECT id FROM items WHERE response_id IN (:response_id, :previous_id)"}
THERE["postgres"] = f"{THERE['sqlite']} FOR SHARE"

TURN = """
SELECT id, owner, conversation_id, previous_id, created_at FROM responses
WHERE id = :response_id AND conversation_id IS NOT NULL"""

CONCERNED = """
SELECT id FROM responses WHERE id = :response_id AND owner = :owner AND conversation_id IS NOT NULL
UNION
SELECT id FROM responses WHERE previous_id = :response_id AND owner = :owner AND conversation_id IS NOT NULL"""

HAVING = """
SELECT DISTINCT r.id FROM items i JOIN responses r ON r.id = i.response_id
WHERE i.id = :item_id AND r.conversation_id = :conversation_id AND r.owner = :owner"""

DELETE_SCOPE = "DELETE FROM memories WHERE owner = :owner AND scope = :scope"

# Its long files: the rest goes in the background.
LEAVE_FILES = """
UPDATE collections SET leaving = 1 WHERE conversation_id = :conversation_id AND owner = :owner AND leaving = 0"""

NEWEST = "SELECT MAX(id) AS id FROM responses"
EARLIER = """
SELECT id, owner, conversation_id, previous_id, created_at FROM responses
WHERE id > :after AND id <= :upto AND conversation_id IS NOT NULL AND status NOT IN ('queued', 'in_progress')
ORDER BY id LIMIT :limit"""


class TurnPassages:
    """Writes them, as statements for the batches of those who write turns."""

    def __init__(self, *, database: Database, index: Index) -> None:
        self._database, self._index = database, index

    async def keeping(self, turn: Mapping[str, object], items: Sequence[StoredItem] = ()) -> Sequence[Statement]:
        """For a turn with the columns of TURN; `items` are those that are stored in the same batch. Nothing for one
        that is in no conversation."""
        if turn["conversation_id"] is None:
            return []
        place = {"response_id": turn["id"], "previous_id": turn["previous_id"] or ""}
        rows = await self._database.fetch(ITEMS, **place)
        now, before = (_said(rows, one) for one in (turn["id"], turn["previous_id"]))
        now |= {(item.side, item.position): item.item for item in items}
        passages = _passages(turn, *_texts(now), *_texts(before))
        return await self._index.replacing(str(turn["owner"]), "turns", str(turn["id"]), passages)

    def arriving(self, passages: Sequence[Passage]) -> Sequence[Statement]:
        """As `keeping`, for many turns that come in whole, of which `passages_of` made these. It takes its time."""
        return self._index.adding_many("turns", passages)

    async def leaving(self, owner: str, response_ids: Sequence[str]) -> tuple[list[Statement], list[str]]:
        """For turns of which something is deleted: what drops them and the turns behind them, which repeat it; and the
        ids to `renew` once it is gone."""
        queries = [Statement(CONCERNED, {"owner": owner, "response_id": one}) for one in response_ids]
        rows = await self._database.snapshot(queries) if queries else []
        concerned = list(dict.fromkeys(row["id"] for found in rows for row in found))
        statements: list[Statement] = []
        for one in concerned:
            statements += self._index.dropping(owner, "turns", document=one)
        return statements, concerned

    async def having(self, owner: str, conversation_id: str, item_id: str) -> list[str]:
        """The turns of a conversation that have an item."""
        rows = await self._database.fetch(HAVING, owner=owner, conversation_id=conversation_id, item_id=item_id)
        return [row["id"] for row in rows]

    async def renew(self, response_ids: Sequence[str]) -> None:
        """Index turns again, as far as they are there still; nothing that was deleted is left in the files, soon."""
        for one in response_ids:
            for turn in await self._database.fetch(TURN, response_id=one):
                await self._index_again(turn)
        if response_ids:
            self.clean()

    async def _index_again(self, turn: Mapping[str, object]) -> None:
        place = {"response_id": turn["id"], "previous_id": turn["previous_id"] or ""}
        count = len(await self._database.fetch(THERE["sqlite"], **place))
        unchanged = Statement(THERE[self._database.dialect], place, count)
        with suppress(Conflict):  # whoever changed it indexes it
            await self._database.batch([unchanged, *await self.keeping(turn)])

    def clean(self) -> None:
        """After something was dropped: leave nothing of it in the files, soon."""
        self._index.clean()

    def purging(self, owner: str, conversation_id: str) -> Sequence[Statement]:
        """For a conversation that is really deleted: what is remembered for it alone goes as well."""
        scope = f"conversation:{conversation_id}"
        return [
            *self._index.dropping(owner, "turns", group=conversation_id),
            *self._index.dropping(owner, "memories", group=scope),
            Statement(DELETE_SCOPE, {"owner": owner, "scope": scope}),
            *self.unshelving(owner, conversation_id),
        ]

    def unshelving(self, owner: str, place: str) -> Sequence[Statement]:
        """For a conversation, the first response of a chain or a folder that is deleted: its long files go as well."""
        return [self._index.marking(), Statement(LEAVE_FILES, {"owner": owner, "conversation_id": place})]

    async def catch_up(self) -> None:
        """Index the turns of before there was an index; goes on where it was stopped."""
        key_values = StoredKeyValues(database=self._database)
        progress: JsonObject = await key_values.get(_PROGRESS) or await self._beginning()
        while progress["after"] < progress["upto"]:
            turns = await self._database.fetch(EARLIER, **progress, limit=_AT_ONCE)
            for turn in turns:
                await self._index_again(turn)
            progress["after"] = turns[-1]["id"] if len(turns) == _AT_ONCE else progress["upto"]
            await key_values.set(_PROGRESS, progress)

    async def _beginning(self) -> JsonObject:
        (newest,) = await self._database.fetch(NEWEST)
        return {"after": "", "upto": newest["id"] or ""}


def passages_of(
    turn: Mapping[str, object], items: Sequence[StoredItem], before: Sequence[StoredItem]
) -> Sequence[Passage]:
    """Those of a whole turn with the columns of TURN; `before` are the items of the one that it follows. None of one
    that is in no conversation."""
    if turn["conversation_id"] is None:
        return []
    return _passages(turn, *_texts(_placed(items)), *_texts(_placed(before)))


Places = dict[tuple[str, int], Item]


def _said(rows: Sequence[Row], response_id: object) -> Places:
    return {(row["side"], row["position"]): from_json(row["item"]) for row in rows if row["response_id"] == response_id}


def _placed(items: Sequence[StoredItem]) -> Places:
    return {(one.side, one.position): one.item for one in items}


def _texts(items: Places) -> tuple[str, str]:
    """What was asked and what was answered."""
    messages = [item for _, item in sorted(items.items()) if item.get("type") == "message"]
    return tuple(  # type: ignore[return-value]
        "\n".join(text_of(item) for item in messages if item.get("role") == role).strip()
        for role in ("user", "assistant")
    )


def _passages(
    turn: Mapping[str, object], asked: str, answered: str, asked_before: str, answered_before: str
) -> list[Passage]:
    before = "\n".join(text[:_BEFORE] for text in (asked_before, answered_before) if text)
    own = "\n".join(text for text in (asked, answered) if text)
    made = []
    for number, piece in enumerate(_pieces(own)):
        told = piece if number == 0 or not asked else f"{asked[:_ASKED]}\n{piece}"
        made.append(
            Passage(
                id=str(turn["id"]) if number == 0 else f"{turn['id']}_{number}",
                owner=str(turn["owner"]),
                space="turns",
                group=str(turn["conversation_id"]),
                document=str(turn["id"]),
                position=number,
                text=f"{told}\n\n{before}" if before else told,
                end=len(told),
                created_at=int(str(turn["created_at"])),
            )
        )
    return made


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that end where a paragraph, a sentence or a word does."""
    for _ in range(_MOST):
        if not text:
            return
        cut = len(text) if len(text) <= _PIECE else _cut(text)
        yield text[:cut].strip()
        text = text[cut:].strip()


def _cut(text: str) -> int:
    for mark in ("\n\n", "\n", ". ", "? ", "! ", " "):
        at = text.rfind(mark, _PIECE // 2, _PIECE)
        if at > 0:
            return at + len(mark)
    return _PIECE
