"""A very small assembler of classic BPF, as the kernel's seccomp reads it: each system call is looked at once."""

import struct
from collections.abc import Iterable, Sequence

ALLOW = 0x7FFF0000
KILL = 0x80000000
_ERROR = 0x00050000
_LOAD, _EQUAL, _ABOVE, _BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16


def error(number: int) -> int:
    """The verdict that lets the call fail with this errno."""
    return _ERROR | number


def load_number() -> bytes:
    """Look at the number of the system call."""
    return _instruction(_LOAD, _NUMBER)


def load_architecture() -> bytes:
    """Look at which of the processor's calling conventions was used."""
    return _instruction(_LOAD, _ARCHITECTURE)


def answer(verdict: int) -> bytes:
    """End here."""
    return _instruction(_RETURN, verdict)


def when_equal(value: int, then: bytes) -> bytes:
    """`then` where the loaded word is the value; `then` must end with an answer where nothing may follow."""
    return _instruction(_EQUAL, value, no=_length(then)) + then


def unless_equal(value: int, then: bytes) -> bytes:
    """`then` where the loaded word is another."""
    return _instruction(_EQUAL, value, yes=_length(then)) + then


def when_above(value: int, then: bytes) -> bytes:
    """`then` where the loaded word is larger, unsigned."""
    return _instruction(_ABOVE, value, no=_length(then)) + then


def refuse_bits(argument: int, bits: int, verdict: int) -> bytes:
    """The verdict where the argument has one of these bits, else allowed."""
    return _argument(argument) + _instruction(_BITS, bits, no=1) + answer(verdict) + answer(ALLOW)


def refuse_values(argument: int, values: Iterable[int], verdict: int) -> bytes:
    """The verdict where the argument is one of these, else allowed."""
    tests = b"".join(when_equal(value, answer(verdict)) for value in values)
    return _argument(argument) + tests + answer(ALLOW)


def allow_values(argument: int, values: Sequence[int], verdict: int) -> bytes:
    """Allowed where the argument is one of these, else the verdict."""
    tests = b"".join(when_equal(value, answer(ALLOW)) for value in values)
    return _argument(argument) + tests + answer(verdict)


def _argument(index: int) -> bytes:
    """The lower half of an argument, on little-endian machines: flags, modes and domains are all there."""
    return _instruction(_LOAD, _ARGUMENTS + 8 * index)


def _length(code: bytes) -> int:
    return len(code) // 8


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
