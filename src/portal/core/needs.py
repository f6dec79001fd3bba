"""What a model must be able to do for a request, where the choice is Portal's."""

from collections.abc import Mapping, Sequence

from portal.core.model import ChatMessage

_TAKEN = {"image_url": "vision", "input_audio": "audio"}
"""Parts that not every model takes."""


def needs(messages: Sequence[ChatMessage], parameters: Mapping[str, object]) -> frozenset[str]:
    """The capabilities that these messages and Chat Completions parameters ask for."""
    wanted = {"chat"}
    if parameters.get("tools"):
        wanted.add("tools")
    contents = (message.get("content") for message in messages)
    for content in contents:
        for part in content if isinstance(content, list) else ():
            if part.get("type") in _TAKEN:
                wanted.add(_TAKEN[part["type"]])
    return frozenset(wanted)
