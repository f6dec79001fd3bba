"""Which heading or slide is meant by a few words."""

from collections.abc import Sequence

_LEAST = 3


def found(wanted: str, titles: Sequence[str]) -> int | None:
    """The place of the title that is these words, or the only one that begins with or holds them."""
    plain = wanted.lstrip("# ").strip().lower()
    held = [title.strip().lower() for title in titles]
    if plain in held and plain:
        return held.index(plain)
    if len(plain) < _LEAST:
        return None
    for fits in (str.startswith, str.__contains__):
        if len(places := [at for at, title in enumerate(held) if fits(title, plain)]) == 1:
            return places[0]
    return None
