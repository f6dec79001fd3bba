"""`portal audit`: each check finds what it is for, and says nothing where all is well."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.cli.conftest import Installation

from portal.cli.audit_checks import HOLES, safety
from portal.core.audit import FORGOTTEN, Place, chained, line
from portal.core.clock import micros
from portal.settings import load_settings
from portal.storage.open import open_storage

SAFE: Mapping[str, Any] = {"discovery": {"enabled": False}}


def states(folder: Path, **settings: Any) -> dict[str, str]:
    """Check -> the worst it came to."""
    loaded = load_settings({"data_dir": folder, **SAFE, **settings})
    order = ("good", "note", "bad")
    worst: dict[str, str] = {}
    for one in safety(loaded):
        worst[one.check] = max(worst.get(one.check, "good"), one.state, key=order.index)
    return worst


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    return made


def test_a_fresh_installation_has_nothing_bad(folder: Path) -> None:
    assert "bad" not in states(folder).values()
    assert states(folder / "none")["data-folder"] == "note"


MANY = "a-long-secret-that-nobody-guesses"
SERVER = {"kind": "ollama", "url": "http://models.lan:11434"}
PROVIDER = {"issuer": "https://id.example", "client_id": "portal", "create": True}
PERILS: list[tuple[str, str, dict[str, Any]]] = [
    ("exposed", "bad", {"server": {"host": "0.0.0.0"}}),
    ("allowed-hosts", "bad", {"server": {"allowed_hosts": ["*"]}}),
    ("allowed-origins", "bad", {"server": {"allowed_origins": ["*"]}}),
    ("allowed-origins", "bad", {"server": {"allowed_origins": ["null"]}}),
    ("allowed-origins", "note", {"server": {"allowed_origins": ["http://app.example"]}}),
    ("ollama-door", "note", {}),
    ("ollama-door", "good", {"ollama": {"token": MANY}}),
    ("ollama-door", "good", {"server": {"host": "::"}}),
    ("weak-secrets", "bad", {"ollama": {"token": "changeme"}}),
    ("weak-secrets", "bad", {"ollama": {"token": "Tr0ub4dor&3"}}),
    ("weak-secrets", "bad", {"backends": [{**SERVER, "api_key": "YOUR_KEY"}]}),
    ("weak-secrets", "bad", {"database": "postgresql://portal:postgres@db/portal"}),
    ("plain-http", "bad", {"backends": [{**SERVER, "api_key": MANY}]}),
    ("plain-http", "bad", {"mcp": {"servers": {"s": {"url": "http://tools.lan/mcp", "headers": {"x-key": MANY}}}}}),
    ("policies", "bad", {"policies": [{"action": "allow"}]}),
    ("private-hosts", "bad", {"tools": {"private_hosts": ["10.0.0.0/8"]}}),
    ("private-hosts", "bad", {"tools": {"private_hosts": ["169.254.169.254"]}}),
    ("tool-trust", "note", {"mcp": {"servers": {"s": {"url": "https://tools.example/mcp", "trusted": True}}}}),
    ("tool-trust", "note", {"mcp": {"servers": {"s": {"url": "https://tools.example/mcp", "sampling": "allow"}}}}),
    ("sign-in", "note", {"people": {"oidc": {"id": PROVIDER}}}),
    ("tool-servers", "note", {"mcp": {"servers": {"s": {"command": "/nowhere/server"}}}}),
    ("database", "bad", {"database": "mysql://db/portal"}),
]
FINE: list[tuple[str, dict[str, Any]]] = [
    ("allowed-hosts", {"server": {"allowed_hosts": ["portal.home"], "allowed_origins": ["https://app.example"]}}),
    ("plain-http", {"backends": [{"kind": "ollama", "url": "http://127.0.0.1:11434", "api_key": MANY}]}),
    ("policies", {"policies": [{"action": "allow", "tool": "*", "risk": "fetch"}, {"action": "deny"}]}),
    ("private-hosts", {"tools": {"private_hosts": ["searx.lan:8080", "192.168.1.0/24"]}}),
    ("sign-in", {"people": {"oidc": {"id": {**PROVIDER, "required_group": "staff"}}}}),
]


def test_each_peril_is_found(folder: Path) -> None:
    found = [states(folder, **settings).get(check) for check, _, settings in PERILS]
    assert found == [state for _, state, _ in PERILS]
    assert [states(folder, **settings).get(check) for check, settings in FINE] == [None] * len(FINE)


def test_what_others_can_read_or_change_is_found(folder: Path) -> None:
    secret, program = folder / "portal.db-old", folder.parent / "server.py"
    for number in range(7):
        (folder / f"file-{number}").touch(mode=0o644)
    secret.touch(mode=0o600)
    program.touch(mode=0o755)
    (folder / "dangling").symlink_to("nowhere")
    (folder / "mcp.json").write_text(
        json.dumps({"mcpServers": {"mine": {"command": "python3", "args": ["-u", str(program)]}, "odd": 1}}), "utf-8"
    )
    (folder / "mcp.json").chmod(0o600)
    (folder.parent / "own.toml").write_text("", "utf-8")
    folder.parent.chmod(0o755)
    before = states(folder)
    assert (before["data-files"], before["tool-servers"]) == ("bad", "good")

    program.chmod(0o777)
    folder.chmod(0o755)
    (folder.parent / "own.toml").chmod(0o666)
    skills = folder.parent / "skills"
    skills.mkdir()
    skills.chmod(0o777)
    after = states(folder, config=folder.parent / "own.toml", skills={"folders": [skills]})
    assert {after[name] for name in ("data-folder", "tool-servers", "settings-file", "skills")} == {"bad"}


def test_packages_with_known_holes_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert states(folder)["versions"] == "good"
    monkeypatch.setitem(HOLES, "click", ("9999.1", "CVE-0000-0000"))  # type: ignore[arg-type]
    monkeypatch.setitem(HOLES, "no-such-package", ("1", "CVE-0000-0001"))  # type: ignore[arg-type]
    assert states(folder)["versions"] == "bad"


def test_the_audit_from_the_terminal_without_a_server(installation: Installation) -> None:
    installation.run("keys", "create", "all")
    installation.run("keys", "create", "some", "--scope", "read-only", "--expires", "1d")
    told = installation.run("audit", "--json")
    assert told.returncode == 0, told.stderr
    (keys,) = [one for one in json.loads(told.stdout) if one["check"] == "keys"]
    assert (keys["state"], "keys all." in keys["text"]) == ("note", True)
    assert [line.split("\t")[1] for line in installation.run("audit", "log").stdout.splitlines()] == ["key.created"] * 2
    told = installation.run("audit", "verify")
    anchor = told.stdout.split()[-1]
    assert (told.returncode, anchor[:2], anchor.count(":")) == (0, "2:", 2)

    with closing(apsw.Connection(str(installation.data_dir / "portal.db"))) as connection:
        connection.execute("DROP TRIGGER audit_fixed; UPDATE audit SET detail = '{}' WHERE seq = 1")
    told = installation.run("audit", "verify", "--anchor", anchor)
    assert (told.returncode, told.stdout.startswith("changed\tline 1\taudit_")) == (1, True)
    told = installation.run("audit", PORTAL_OLLAMA__TOKEN="secret")
    assert told.returncode == 1
    assert "BAD  Somebody changed the audit" in told.stdout
    assert "BAD  ollama.token is a placeholder" in told.stdout
    assert "2 of these need mending" in told.stderr


def test_an_audit_that_lost_its_beginning_by_no_setting_is_told_of(installation: Installation) -> None:
    installation.run("keys", "create", "early")
    anchor = installation.run("audit", "verify").stdout.split()[-1]
    installation.run("keys", "create", "late")
    with closing(apsw.Connection(str(installation.data_dir / "portal.db"))) as connection:
        ((start,),) = connection.execute("SELECT hash FROM audit WHERE seq = 1")
        ((seq, prev),) = connection.execute("SELECT seq, hash FROM audit_head")
        fields: dict[str, Any] = {"id": "audit_x", "owner": "", "at": micros(), "action": FORGOTTEN, "subject": "audit"}
        row = {**fields, "detail": json.dumps({"lines": 1, "until": f"1:{start}"})}
        after = chained(Place(seq, prev), row)
        row |= {"seq": after.seq, "prev": prev, "hash": after.hash}
        names = ", ".join(row)
        connection.execute(f"INSERT INTO audit ({names}) VALUES ({', '.join(f':{name}' for name in row)})", row)
        connection.execute("UPDATE audit_head SET seq = ?, hash = ?", (after.seq, after.hash))
        connection.execute("INSERT INTO audit_start (id, seq, hash) VALUES (1, 1, ?)", (start,))
        connection.execute("DELETE FROM audit WHERE seq = 1")
    told = installation.run("audit", "verify")
    assert (told.returncode, "audit_days is 0" in told.stdout) == (0, True)
    assert "note Lines of the audit are gone" in installation.run("audit").stdout
    asked = {"PORTAL_RETENTION__AUDIT_DAYS": "30"}
    assert "audit_days" not in installation.run("audit", "verify", **asked).stdout
    told = installation.run("audit", "verify", "--anchor", anchor, **asked)
    assert (told.returncode, told.stdout.splitlines()[0]) == (1, "removed\tline 1")


def test_the_audit_beside_a_server(shared: Installation) -> None:
    shared.run("keys", "create", "seen")
    (line,) = shared.run("audit", "log", "--limit", "1", "--json").stdout.splitlines()
    assert (json.loads(line)["action"], json.loads(line)["detail"]["name"]) == ("key.created", "seen")
    assert json.loads(shared.run("audit", "verify", "--json").stdout)["whole"]
    assert shared.run("audit", "verify", "--anchor", "odd").returncode == 1
    assert shared.run("audit").returncode == 0
    told = shared.run("audit", "--attack")
    assert told.returncode == 0, told.stdout
    assert {line.rpartition(": ")[2] for line in told.stdout.splitlines()} == {"blocked"}
    assert len(told.stdout.splitlines()) > 35


async def filled(folder: Path) -> None:
    """Of the day before yesterday 230 lines, of now 220."""
    async with open_storage(load_settings({"data_dir": folder})) as storage:
        for number in range(450):
            one = line("", "test.done", f"thing {number}", {})
            ago = 0 if number >= 230 else 2 * 86_400 * 1_000_000
            await storage.audit.record(replace(one, at=one.at - ago))


def test_all_of_the_log_is_shown(installation: Installation) -> None:
    def subjects(*words: str) -> list[str]:
        told = installation.run("audit", "log", "--json", *words)
        assert told.returncode == 0, told.stderr
        return [one["subject"] for one in map(json.loads, told.stdout.splitlines()) if one["action"] == "test.done"]

    asyncio.run(filled(installation.data_dir))
    every = [f"thing {number}" for number in reversed(range(450))]
    for server in (False, True):
        if server:
            installation.up()
        assert subjects("--all") == every
        assert subjects("--since", "12h") == every[:220]
        assert subjects("--since", "2020-01-31", "--limit", "300")[:290] == every[:290]
        assert subjects("--since", "2099-01-31") == []
        assert len(installation.run("audit", "log").stdout.splitlines()) == 50
    told = installation.run("audit", "log", "--since", "yesterday")
    assert (told.returncode, "is no time, such as 12h" in told.stderr) == (1, True)


def test_all_secrets_are_made_anew(installation: Installation) -> None:
    installation.run("keys", "create", "old")
    (installation.data_dir / "seal.key").write_bytes(b"0" * 32)
    (installation.data_dir / "secrets.json").write_text('{"backend:mine": "x"}', "utf-8")
    asked = installation.run("reset-secrets", stdin="n\n")
    assert (asked.returncode, (installation.data_dir / "seal.key").exists()) == (1, True)
    told = installation.run("reset-secrets", "--yes", PORTAL_SEARCH__KEY="brave-key-of-somebody")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Ended are 1 keys, sessions and links.")
    assert [line.split()[-1] for line in told.stdout.splitlines()[1:]] == ["search.key", "backend:mine"]
    assert not (installation.data_dir / "seal.key").exists()
    assert "There are no keys yet" in installation.run("keys", "list").stderr
    assert "secrets.reset" in installation.run("audit", "log").stdout


def test_attacks_need_a_server(installation: Installation) -> None:
    assert "No Portal is running" in installation.run("audit", "--attack").stderr
