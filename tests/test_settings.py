"""Where a setting comes from, seen by a process of its own with an environment of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SHOW = """
from portal.settings import load_settings
token = load_settings().ollama.token
print(token.get_secret_value() if token else None, "secret-" in repr(load_settings()))
"""


@pytest.mark.parametrize(
    ("environment", "env_file", "toml", "token"),
    [
        ({}, "", "", "None"),
        ({"ROUTER_TOKEN": "secret-a"}, "", "", "secret-a"),
        ({"ROUTER_TOKEN": ""}, "", "", "None"),
        ({"router_token": "secret-a"}, "", "", "secret-a"),
        ({"PORTAL_OLLAMA__TOKEN": "secret-b"}, "", "", "secret-b"),
        ({"ROUTER_TOKEN": "secret-a", "PORTAL_OLLAMA__TOKEN": "secret-b"}, "", "", "secret-b"),
        ({}, "ROUTER_TOKEN=secret-c\n", "", "secret-c"),
        ({"ROUTER_TOKEN": "secret-a"}, "ROUTER_TOKEN=secret-c\n", "", "secret-a"),
        ({}, "", '[ollama]\ntoken = "secret-d"\n', "secret-d"),
        ({"ROUTER_TOKEN": "secret-a"}, "", '[ollama]\ntoken = "secret-d"\nmax_context = 9\n', "secret-a"),
    ],
)
def test_the_token_of_ollamas_api(
    tmp_path: Path, environment: dict[str, str], env_file: str, toml: str, token: str
) -> None:
    (tmp_path / ".env").write_text(env_file, encoding="utf-8")
    (tmp_path / "portal.toml").write_text(toml, encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "ROUTER_"))}  # noqa: TID251
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW],
        env={**clean, "PORTAL_DATA_DIR": str(tmp_path), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == [token, "False"]


_TELEMETRY = """
from portal.settings import load_settings
told = load_settings().telemetry
print(told.endpoint or None, told.service_name, told.keep_days, "secret" in repr(told))
"""


@pytest.mark.parametrize(
    ("environment", "env_file", "toml", "shown"),
    [
        ({}, "", "", "None portal 30"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "", "", "http://c:4318/v1/traces portal 30"),
        (
            {},
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318\nOTEL_SERVICE_NAME=den\n",
            "",
            "http://c:4318/v1/traces den 30",
        ),
        (
            {"OTEL_SERVICE_NAME": "den", "OTEL_EXPORTER_OTLP_HEADERS": "key=secret"},
            "OTEL_SERVICE_NAME=attic\n",
            '[telemetry]\nendpoint = "http://t/v1/traces"\nservice_name = "toml"\nkeep_days = 5\n',
            "http://t/v1/traces den 5",
        ),
        ({"OTEL_SERVICE_NAME": "den", "PORTAL_TELEMETRY__SERVICE_NAME": "mine"}, "", "", "None mine 30"),
    ],
)
def test_the_variables_of_opentelemetry(
    tmp_path: Path, environment: dict[str, str], env_file: str, toml: str, shown: str
) -> None:
    (tmp_path / ".env").write_text(env_file, encoding="utf-8")
    (tmp_path / "portal.toml").write_text(toml, encoding="utf-8")
    known = ("PORTAL_", "ROUTER_", "OTEL_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(known)}  # noqa: TID251
    told = subprocess.run(
        [sys.executable, "-c", _TELEMETRY],
        env={**clean, "PORTAL_DATA_DIR": str(tmp_path), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [*shown.split(), "False"]


_EVERY = """
import os
from pydantic import BaseModel, SecretStr
from pydantic_core import to_json
from portal.settings import Settings, load_settings

def leaves(section, path=()):
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value

def written(value):
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, str) or hasattr(value, "__fspath__") else to_json(value).decode()

read = 0
for path, value in leaves(load_settings()):
    if value is None:
        continue
    os.environ[name := "PORTAL_" + "__".join(path).upper()] = written(value)
    now = load_settings()
    for part in path:
        now = getattr(now, part)
    assert now == (not value if isinstance(value, bool) else value), (name, now)
    assert path == ("data_dir",) or os.environ.pop(name) is not None
    read += 1
print(read)
"""


def test_every_setting_can_be_given_in_the_environment(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "ROUTER_"))}  # noqa: TID251
    read = subprocess.run(
        [sys.executable, "-c", _EVERY],
        env={**clean, "PORTAL_DATA_DIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    assert int(read.stdout) > 150
