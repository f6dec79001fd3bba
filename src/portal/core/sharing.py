"""Conversations that their owner lets others read by a link."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRecord:
    """A conversation as it was at that moment."""

    conversation_id: str
    owner: str
    created_at: int


class Shares(Protocol):
    """One link for each conversation. Tokens come in as SHA-256 hex, never themselves."""

    async def save(self, share: ShareRecord, token_hash: str) -> None:
        """A link from now on; an earlier one ends. Raises NotFound where the conversation is not this owner's."""

    async def of(self, owner: str, conversation_id: str) -> ShareRecord | None:
        """That of a conversation."""

    async def by_token(self, token_hash: str) -> ShareRecord | None:
        """What a link leads to; None where it never was, was revoked, or the conversation or its owner is gone."""

    async def remove(self, owner: str, conversation_id: str) -> None:
        """Revoke. Raises NotFound."""
