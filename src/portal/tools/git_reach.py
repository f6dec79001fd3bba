"""How git reaches other servers: never by a name that it looks up itself."""

from collections.abc import Sequence

from portal.core.urls import git_url, read_url

SSH = "ssh -oBatchMode=yes -oConnectTimeout=20"


def pinned(url: str, addresses: Sequence[str]) -> list[str]:
    """Settings by which git reaches a server only at the addresses that were checked: looking its name up again could
    bring others."""
    read = read_url(git_url(url))
    if read.scheme == "git" or read.raw_host in addresses:
        return []
    if read.scheme == "ssh":
        return [f"core.sshCommand={SSH} -oHostName={addresses[0]} -oHostKeyAlias={read.raw_host}"]
    written = ",".join(f"[{each}]" if ":" in each else each for each in addresses)
    return [f"http.curloptResolve={read.raw_host}:{read.port}:{written}"]
