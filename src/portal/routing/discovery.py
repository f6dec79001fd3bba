"""Where model servers usually are: data. The registry asks there, app.py makes the backends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from portal.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A place to look at. `label` names the programs that answer there, for a person."""

    name: str
    kind: str
    url: str
    label: str


CANDIDATES = (
    Candidate(name="ollama", kind="ollama", url="http://127.0.0.1:11434", label="Ollama"),
    Candidate(name="lmstudio", kind="openai_compatible", url="http://127.0.0.1:1234/v1", label="LM Studio"),
    Candidate(
        name="llamacpp",
        kind="openai_compatible",
        url="http://127.0.0.1:8080/v1",
        label="llama.cpp, MLX (mlx_lm.server) or LocalAI",
    ),
    Candidate(name="vllm", kind="openai_compatible", url="http://127.0.0.1:8000/v1", label="vLLM"),
    Candidate(name="jan", kind="openai_compatible", url="http://127.0.0.1:1337/v1", label="Jan"),
    Candidate(name="koboldcpp", kind="openai_compatible", url="http://127.0.0.1:5001/v1", label="KoboldCpp"),
    Candidate(name="sglang", kind="openai_compatible", url="http://127.0.0.1:30000/v1", label="SGLang"),
    Candidate(
        name="docker", kind="openai_compatible", url="http://127.0.0.1:12434/engines/v1", label="Docker Model Runner"
    ),
)

_AT_HOME = (".local", ".localhost", ".lan", ".home", ".internal", ".home.arpa", ".ts.net", ".test", ".example")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def candidates(settings: Settings, in_use: Iterable[str] = ()) -> Sequence[Candidate]:
    """The places worth a look: not those the settings name, nor the URLs `in_use`, nor Portal itself."""
    if not settings.discovery.enabled:
        return ()
    named = (server.url for server in settings.backends)
    taken = {place(url) for url in (*named, *in_use) if url}
    taken.add(("loopback", settings.server.port))
    return [candidate for candidate in CANDIDATES if place(candidate.url) not in taken]


def is_away(url: str) -> bool:
    """Whether a server is a service on the internet, by its address: no private one, and no name of a home network."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_AT_HOME)


def place(url: str) -> tuple[str, int | None]:
    """Machine and port of a URL, so that localhost and 127.0.0.1 are one place."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return ("loopback" if host in _LOOPBACK else host, port)
