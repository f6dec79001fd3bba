"""Who may call a server now, and who waits, in order. Pure."""

from collections.abc import Callable


class Place:
    """One call's place; `on_move` is called whenever it gets further."""

    __slots__ = ("admitted", "on_move")

    def __init__(self) -> None:
        self.admitted = False
        self.on_move: Callable[[], None] | None = None


class Line:
    """First come, first served."""

    def __init__(self, *, slots: int, length: int) -> None:
        """`slots` calls run at once, 0 for any number; `length` wait at most."""
        self.slots = slots
        self.running = 0
        self.length = length
        self._waiting: dict[Place, None] = {}

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def enter(self) -> Place | None:
        """A place, admitted if there is room; None when the line is full."""
        place = Place()
        if not self.slots or self.running < self.slots:
            place.admitted = True
            self.running += 1
        elif len(self._waiting) < self.length:
            self._waiting[place] = None
        else:
            return None
        return place

    def before(self, place: Place) -> int:
        """How many wait before this one."""
        return next((at for at, one in enumerate(self._waiting) if one is place), 0)

    def leave(self, place: Place) -> None:
        """Give up a place, once; whoever waits behind it moves up."""
        if place.admitted:
            self.running -= 1
        else:
            del self._waiting[place]
        while self._waiting and self.running < self.slots:
            first = next(iter(self._waiting))
            del self._waiting[first]
            first.admitted = True
            self.running += 1
            _moved(first)
        for waiting in self._waiting:
            _moved(waiting)


def _moved(place: Place) -> None:
    if place.on_move is not None:
        place.on_move()
