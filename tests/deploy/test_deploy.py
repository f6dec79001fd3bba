"""The files in deploy/: what they say is checked against the rules of those who read them, and against Portal. No
container engine is asked: none is needed for that, and CI has none."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from portal.interfaces.application import routes_of
from portal.settings import Settings, load_settings, unknown_environment
from portal.testing.portal import open_test_portal

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMA = json.loads((ROOT / "tests/specs/compose/compose-spec.json").read_text(encoding="utf-8"))
SETS: Sequence[Sequence[str]] = (
    ("compose.yaml",),
    ("compose.yaml", "compose.ollama.yaml"),
    ("compose.yaml", "compose.ollama.yaml", "compose.nvidia.yaml"),
    ("compose.yaml", "compose.host.yaml"),
    ("compose.yaml", "compose.ollama.yaml", "compose.open-webui.yaml"),
    ("compose.yaml", "compose.host.yaml", "compose.librechat.yaml"),
    ("compose.yaml", "compose.ollama.yaml", "compose.tools.yaml", "compose.nvidia-tools.yaml"),
    ("compose.yaml", "compose.ollama.yaml", "compose.open-webui.yaml", "compose.librechat.yaml", "compose.tools.yaml"),
)
FILES = sorted(DEPLOY.glob("compose*.yaml"))


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return content


def merged(names: Sequence[str]) -> dict[str, Any]:
    """As Compose puts files together, for what ours use: mappings grow, lists grow, a word replaces another."""
    whole: dict[str, Any] = {}
    for name in names:
        _merge(whole, read(name))
    return whole


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, list) and isinstance(into.get(key), list):
            into[key] = [*into[key], *value]
        else:
            into[key] = value


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def image_environment() -> dict[str, str]:
    """What the last stage sets."""
    last = dockerfile().split("\nFROM ")[-1].replace("\\\n", " ")
    return dict(re.findall(r"(PORTAL_\w+)=(\S+)", last))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_compose(path: Path) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(read(path.name))
    assert any(path.name in names for names in SETS)


@pytest.mark.parametrize("names", SETS, ids=lambda names: "+".join(name.split(".")[1] for name in names))
def test_files_fit_together(names: Sequence[str]) -> None:
    whole = merged(names)

    jsonschema.Draft7Validator(SCHEMA).validate(whole)
    services = whole["services"]
    published = []
    for name, service in services.items():
        assert "image" in service or "build" in service, name
        for other, condition in service.get("depends_on", {}).items():
            assert other in services
            healthy = condition["condition"] == "service_healthy"
            assert not healthy or other == "portal", f"{other} has no health check that we know of"
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in whole["volumes"]
        published += service.get("ports", ())
    assert len(set(published)) == len(published)
    assert all(port.startswith("127.0.0.1:${") for port in published)


def portal_environments() -> Iterator[tuple[str, dict[str, str]]]:
    yield "Dockerfile", image_environment()
    for names in SETS:
        yield "+".join(names), {**image_environment(), **merged(names)["services"]["portal"]["environment"]}


@pytest.mark.parametrize(("name", "environment"), list(portal_environments()))
def test_portal_takes_its_settings(name: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)

    settings = load_settings({})

    assert unknown_environment() == []
    assert settings.server.host == "0.0.0.0"
    assert settings.data_dir == Path("/data")
    services = {"ollama", "comfyui", "searxng", "host.docker.internal"}
    addresses = [*(one.url for one in settings.backends), *(one.url for one in settings.media.engines)]
    addresses += [settings.search.url] if settings.search.url else []
    for address in addresses:
        assert re.match(r"http://([\w.]+):\d+$", address)[1] in services  # type: ignore[index]


def test_every_variable_that_a_person_sets_is_in_the_example() -> None:
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    used = {name for path in FILES for name in re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8"))}

    assert {name for name in used - {"COMFYUI_IMAGE"} if f"\n#{name}=" not in example} == set()
    named = set(re.findall(r"compose[\w.-]*\.yaml", example))
    assert named == {path.name for path in FILES}


async def test_the_port_and_the_names_are_the_ones_that_are_used(tmp_path: Path) -> None:
    port = Settings().server.port
    text = dockerfile()
    path = re.search(rf"http://127\.0\.0\.1:{port}(/[\w/]+)'", text)
    whole = merged(SETS[-1])["services"]
    librechat = yaml.safe_load((DEPLOY / "librechat/librechat.yaml").read_text(encoding="utf-8"))

    assert path is not None
    assert f"EXPOSE {port}\n" in text
    assert whole["portal"]["ports"] == [f"127.0.0.1:${{PORTAL_PORT:-{port}}}:{port}"]
    endpoint = f"http://portal:{port}/v1"
    assert whole["open-webui"]["environment"]["OPENAI_API_BASE_URL"] == endpoint
    assert [one["baseURL"] for one in librechat["endpoints"]["custom"]] == [endpoint]
    allowed = json.loads(whole["portal"]["environment"]["PORTAL_SERVER__ALLOWED_HOSTS"])
    async with open_test_portal(tmp_path / "data", settings={"server": {"allowed_hosts": allowed}}) as portal:
        assert any(getattr(route, "path", "") == path[1] for route in routes_of(portal.portal.asgi))
        for host, wanted in (("portal:8081", 401), ("localhost:8081", 401), ("elsewhere:8081", 403)):
            assert await _status(portal.url, host) == wanted


async def _status(url: str, host: str) -> int:
    import aiohttp

    async with aiohttp.ClientSession() as client, client.get(f"{url}/v1/models", headers={"Host": host}) as answer:
        return answer.status


def test_the_image_is_made_of_what_is_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY ((?!--).+) \S+$", dockerfile(), re.MULTILINE)

    assert {name.rstrip("/") for line in copied for name in line.split()} == let_in
    assert all((ROOT / name).exists() for name in let_in)
    for extra in re.findall(r'EXTRAS="(.+)"', dockerfile())[0].split():
        assert (ROOT / f"requirements/extra-{extra}.lock").exists()
    assert re.findall(r"^USER (.+)$", dockerfile(), re.MULTILINE) == ["10001:10001"]


def test_the_health_check_is_a_program() -> None:
    found = re.search(r"HEALTHCHECK.*?CMD (\[.+?\])\n", dockerfile(), re.DOTALL)
    assert found is not None
    command = json.loads(found[1])

    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, check=False)

    assert "URLError" in done.stderr or done.returncode == 0  # it got as far as to ask


def test_a_linter_takes_the_dockerfile() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if program is None:
        pytest.skip("THE DOCKERFILE IS NOT LINTED: hadolint is missing")

    done = subprocess.run([program, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
