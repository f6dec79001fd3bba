"""Numbers of things, in words."""


def counted(number: int, thing: str) -> str:
    """`1 model`, `2 models`, `3 memories`."""
    if number == 1:
        return f"1 {thing}"
    return f"{number:,} {thing.removesuffix('y')}ies" if thing.endswith("ry") else f"{number:,} {thing}s"
