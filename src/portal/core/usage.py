"""Token counts as OpenAI's API writes them."""

from portal.core.model import TokenUsage

_LARGEST = 2**53
"""What no count reaches, and every program and database can hold."""


def read_usage(sent: object) -> TokenUsage | None:
    """OpenAI's usage object; None for what is none, or does not count the prompt. Other counts may be left out."""
    asked = count(sent, "prompt_tokens")
    if asked is None or not isinstance(sent, dict):
        return None
    return TokenUsage(
        input_tokens=asked,
        output_tokens=count(sent, "completion_tokens") or 0,
        cached_tokens=count(sent.get("prompt_tokens_details"), "cached_tokens") or 0,
        reasoning_tokens=count(sent.get("completion_tokens_details"), "reasoning_tokens") or 0,
    )


def count(counts: object, name: str) -> int | None:
    """One count of an object; None where it is not there, or is no count."""
    found = counts.get(name) if isinstance(counts, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _LARGEST else None
