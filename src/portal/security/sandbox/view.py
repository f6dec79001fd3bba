"""What of the machine a program in the sandbox sees: its programs and libraries, and nothing of anybody's."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from portal.core.sandbox import SandboxJob
from portal.errors import ToolError

WORK = "/work"
_ROOTS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SETTINGS = (
    "alternatives", "ca-certificates", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
    "magic", "mime.types", "pki/ca-trust", "pki/tls/certs", "ssl/certs", "ssl/openssl.cnf",
)  # fmt: skip
_SETTINGS_OF_NETWORK = ("hosts", "nsswitch.conf", "protocols", "resolv.conf", "services")
SEARCHED = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where the system's programs are."""
_LEAST_SPACE = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The same for every job. `programs` are folders with a `bin`; `hidden` are folders never seen by chance."""

    programs: Sequence[Path] = ()
    hidden: Sequence[Path] = ()

    def path(self) -> str:
        """Where programs are looked for."""
        return ":".join((*(f"{place}/bin" for place in self.programs), *SEARCHED))

    def environment(self, job: SandboxJob) -> Mapping[str, str]:
        """All that the program has of it."""
        plain = {"PATH": self.path(), "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "USER": "sandbox"}  # noqa: S108
        return plain | dict(job.environment)

    def mounts(self, job: SandboxJob) -> list[str]:
        """As bubblewrap's options, in the order in which they lie over each other.

        Raises:
            ToolError: a readable place is too much, or is not there.
        """
        return [*_system(), *_settings(job), *_devices(job), *self._places(job), "--bind", str(job.folder), WORK]

    def _places(self, job: SandboxJob) -> Iterator[str]:
        """Deeper ones over shallower ones: hidden within readable, and readable within hidden."""
        shown = [_readable(place) for place in job.readable] + [place for place in self.programs if place.exists()]
        places: dict[Path, tuple[str, ...]] = {
            place: ("--tmpfs", str(place)) for place in self.hidden if _is_within(place, [Path("/usr"), *shown])
        }
        places |= {place: ("--ro-bind", str(place), str(place)) for place in shown}
        for place in sorted(places, key=lambda each: len(each.parts)):
            yield from _parents(place)
            yield from places[place]


def own_python() -> Sequence[Path]:
    """The interpreter that Portal runs on, where it is not one of the system's: Portal's own environment is not."""
    base = Path(sys.base_prefix).resolve()
    return () if base.is_relative_to("/usr") else (base,)


def _readable(place: Path) -> Path:
    if len(place.parts) < 2:
        raise ToolError(f"{place} cannot be shown to a program in the sandbox: name a folder in it.")
    if not place.exists():
        raise ToolError(f"{place} is not there.")
    return place


def _is_within(place: Path, others: Sequence[Path]) -> bool:
    return place.is_dir() and any(place.is_relative_to(other) for other in others)


def _parents(place: Path) -> Iterator[str]:
    """Folders on the way, which anybody may pass; those that bubblewrap makes by itself are root's alone."""
    for parent in reversed(place.parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _ROOTS:
        place = Path("/", name)
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), str(place))
        elif place.exists():
            yield from ("--ro-bind", str(place), str(place))


def _settings(job: SandboxJob) -> Iterator[str]:
    for name in (*_SETTINGS, *(_SETTINGS_OF_NETWORK if job.network else ())):
        yield from _parents(Path("/etc", name))
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _devices(job: SandboxJob) -> Iterator[str]:
    space = str(max(_LEAST_SPACE, job.memory // 4))
    yield from ("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev")
    yield from ("--perms", "1777", "--size", space, "--tmpfs", "/dev/shm")  # noqa: S108
    yield from ("--perms", "1777", "--size", space, "--tmpfs", "/tmp")  # noqa: S108
    yield from ("--perms", "0755", "--dir", "/var", "--symlink", "/tmp", "/var/tmp")  # noqa: S108
