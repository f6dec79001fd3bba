"""Which system calls a program in the sandbox may make."""

import errno

from portal.security.sandbox import bpf, syscalls

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x3FFFFFFF
"""Numbers above are x86_64's second calling convention, with other numbers for the same calls."""
_SETID_BITS = 0o6000
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEW* of clone(2)."""
_TERMINAL_INJECTION = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_PLAIN = (0, 0xFFFFFFFF)
"""personality(2): the plain one, and the question which it is."""
_MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "open": 2, "openat": 3, "creat": 1, "mknod": 1, "mknodat": 2}
"""Which argument is the mode of the file."""
_OPAQUE = ("clone3", "openat2")
"""Their arguments lie in memory, where no filter sees them; libraries use clone and openat instead."""

_NO, _UNKNOWN = bpf.error(errno.EPERM), bpf.error(errno.ENOSYS)


def policy(machine: str, *, network: bool) -> bytes:
    """The filter as the kernel takes it, for a processor of syscalls.MACHINES.

    With a network, local sockets are refused: those of the machine's own programs would be in reach.
    """
    return _prologue(machine) + _refusals(machine) + _examinations(machine, network=network) + bpf.answer(bpf.ALLOW)


def _prologue(machine: str) -> bytes:
    native = bpf.unless_equal(_ARCHITECTURES[machine], bpf.answer(bpf.KILL))
    code = bpf.load_architecture() + native + bpf.load_number()
    if machine == "x86_64":
        code += bpf.when_above(_X32, bpf.answer(_UNKNOWN))
    return code + bpf.when_above(syscalls.LAST, bpf.answer(_UNKNOWN))


def _refusals(machine: str) -> bytes:
    return b"".join(bpf.when_equal(number, bpf.answer(_NO)) for number in syscalls.refused(machine).values())


def _examinations(machine: str, *, network: bool) -> bytes:
    domains = (_INET, _INET6, _NETLINK) if network else (_UNIX, _INET, _INET6, _NETLINK)
    rules = {
        "clone": bpf.refuse_bits(0, _NEW_NAMESPACES, _NO),
        "ioctl": bpf.refuse_values(1, _TERMINAL_INJECTION, _NO),
        "socket": bpf.allow_values(0, domains, bpf.error(errno.EAFNOSUPPORT)),
        "personality": bpf.allow_values(0, _PLAIN, _NO),
        **{name: bpf.answer(_UNKNOWN) for name in _OPAQUE},
        **{name: bpf.refuse_bits(argument, _SETID_BITS, _NO) for name, argument in _MODES.items()},
    }
    numbers = syscalls.examined(machine)
    return b"".join(bpf.when_equal(numbers[name], rules[name]) for name in numbers)
