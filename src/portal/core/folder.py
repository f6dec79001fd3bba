"""What the folder of a conversation adds to its turns: instructions, and files that every chat in it can use."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.ask import Ask
from portal.core.attachments import Attachments
from portal.core.ports import Folders
from portal.core.records import ConversationRecord
from portal.core.shelving import Shelving


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all chats of a folder have."""

    texts: Sequence[str] = ()
    """The folder's instructions, and its files as far as they are told as they are."""
    shelves: Sequence[str] = ()
    """Where its other files are kept, to be searched."""


class InFolder:
    """Looks into folders."""

    def __init__(self, *, folders: Folders, attachments: Attachments, shelving: Shelving) -> None:
        self._folders = folders
        self._attachments = attachments
        self._shelving = shelving

    async def of(self, conversation: ConversationRecord | None, ask: Ask) -> Shared:
        """What a turn of this conversation gets; `ask` is what is said in it. A file that cannot be told or read
        leaves a note in its place: chats go on without it."""
        if conversation is None or conversation.folder_id is None:
            return Shared()
        folder = await self._folders.get(conversation.owner, conversation.folder_id)
        shelved = await self._shelving.of_folder(ask, folder)
        told = await self._attachments.listed(conversation.owner, folder.file_ids, shelved)
        return Shared(texts=[folder.instructions, *told], shelves=[folder.id] if shelved.files else [])
