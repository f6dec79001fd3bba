"""Text that every store, wire and model takes."""

import re

_ODD = re.compile("[\x00\ud800-\udfff]")


def writable(text: str) -> str:
    """The text without NUL and half characters: two halves become one, a lone one is replaced."""
    if not _ODD.search(text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
