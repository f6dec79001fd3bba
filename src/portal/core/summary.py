"""A summary of what a model cannot read at once: piece by piece, each with the summary of those before."""

from collections.abc import Awaitable, Callable, Iterator, Sequence

from portal.core.model import ChatMessage
from portal.core.tokens import estimate_messages

PROMPT = (
    "Summarise the conversation above so that it can go on without it. Keep every fact, name, number, decision, open "
    "question and promise, and what tools found; leave out pleasantries. Write only the summary."
)


async def summarised(
    messages: Sequence[ChatMessage],
    tokens: int,
    tell: Callable[[list[ChatMessage]], Awaitable[str]],
    *,
    earlier: str = "",
) -> str:
    """What `tell` makes of pieces of so many tokens; `earlier` is a summary of what came before all of them."""
    summary = earlier
    for piece in _pieces(messages, tokens):
        before = [{"role": "system", "content": f"Summary of what came before:\n{summary}"}] if summary else []
        summary = await tell([*before, *piece, {"role": "user", "content": PROMPT}])
    return summary


def _pieces(messages: Sequence[ChatMessage], tokens: int) -> list[list[ChatMessage]]:
    """As plain text, so that no call is parted from its result in a way that a server refuses."""
    pieces: list[list[ChatMessage]] = [[]]
    left = tokens
    for plain in (one for message in messages for one in _plain(message, tokens)):
        left -= estimate_messages([plain])
        if left < 0 and pieces[-1]:
            pieces.append([])
            left = tokens - estimate_messages([plain])
        pieces[-1].append(plain)
    return pieces


def _plain(message: ChatMessage, tokens: int) -> Iterator[ChatMessage]:
    """A message as text; what is longer than fits in several."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "\n".join(str(part.get("text", "(a picture)")) for part in content)
    called = "".join(f"\n(calls {call['function']['name']})" for call in message.get("tool_calls") or ())
    if message["role"] == "tool":
        content = f"(result of a tool) {content}"
    role = "assistant" if message["role"] == "tool" else message["role"]
    text = f"{content}{called}"
    size = max(3 * tokens if text.isascii() else tokens // 2, 1)
    for at in range(0, max(len(text), 1), size):
        yield {"role": role, "content": text[at : at + size]}
