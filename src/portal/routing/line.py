"""Who may call a server now, and who waits, in order. Pure."""

from collections.abc import Callable


class Place:
    """One call's place; `on_move` is called whenever it gets further."""

    __slots__ = ("admitted", "on_move", "refused")

    def __init__(self) -> None:
        self.admitted = False
        self.refused = False
        """Whether it turned out that too many wait: leave it."""
        self.on_move: Callable[[], None] | None = None


class Line:
    """First come, first served."""

    shared = False
    """Whether the slots are those of several Portals together."""
    elsewhere = 0
    """Calls of other Portals that run in the same slots."""

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
        if self._has_room():
            place.admitted = True
            self.running += 1
        elif self._may_wait():
            self._waiting[place] = None
        else:
            return None
        return place

    def before(self, place: Place) -> int | None:
        """How many wait before this one; None where that is not known yet."""
        return next((at for at, one in enumerate(self._waiting) if one is place), 0)

    def leave(self, place: Place) -> None:
        """Give up a place, once; whoever waits behind it moves up."""
        if place.admitted:
            self.running -= 1
        else:
            del self._waiting[place]
        self._move_up()

    def close(self) -> None:
        """Nobody enters any more; who is in it stays."""

    def _has_room(self) -> bool:
        return not self.slots or self.running < self.slots

    def _may_wait(self) -> bool:
        return len(self._waiting) < self.length

    def _move_up(self) -> None:
        while self._waiting and self._has_room():
            self._admit(next(iter(self._waiting)))
        for waiting in self._waiting:
            _moved(waiting)

    def _admit(self, place: Place) -> None:
        del self._waiting[place]
        place.admitted = True
        self.running += 1
        _moved(place)


def _moved(place: Place) -> None:
    if place.on_move is not None:
        place.on_move()
