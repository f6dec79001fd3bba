"""What a model must be able to do for a request, where the choice is Portal's."""

from collections.abc import Mapping, Sequence

from portal.core.model import ChatMessage


def needs(messages: Sequence[ChatMessage], parameters: Mapping[str, object]) -> frozenset[str]:
    """The capabilities that these messages and Chat Completions parameters ask for."""
    wanted = {"chat"}
    if parameters.get("tools"):
        wanted.add("tools")
    contents = (message.get("content") for message in messages)
    parts = (part for content in contents if isinstance(content, list) for part in content)
    if any(part.get("type") == "image_url" for part in parts):
        wanted.add("vision")
    return frozenset(wanted)
