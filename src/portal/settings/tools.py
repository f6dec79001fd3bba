"""Settings of tools: which there are, what they may do, and when a person is asked."""

import posixpath
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from portal.settings.section import Seconds, Section, Words

Risk = Literal["read", "fetch", "write", "execute", "network", "spend"]


class ToolSettings(Section):
    """Tools that workspaces may use, and their bounds."""

    enabled: bool = Field(True, description="Let workspaces use tools.")
    off: Words = Field((), description="Patterns of tools or tool families that nobody gets.")
    folders: tuple[Path, ...] = Field((), description="Folders of this machine that tools may work in.")
    clipboard: bool = Field(False, description="Let tools read and write the clipboard of this machine.")
    python: Path | None = Field(
        None, description="Python that run_python runs, with the packages it has; the one that runs Portal by default."
    )
    package_index: str = Field("", description="Index that python_install takes packages from; empty leaves it to pip.")
    web: bool = Field(False, description="Let tools read public web pages without asking each time.")
    max_rounds: int = Field(16, gt=0, description="Model calls of one turn; then the model must answer without tools.")
    max_seconds: Seconds = Field(600, description="Seconds after which a turn gets no more tools.")
    max_tokens: int = Field(200_000, gt=0, description="Tokens read and written after which a turn gets no more tools.")
    parallel: int = Field(8, gt=0, description="Tool calls of one turn that run at once.")
    timeout: Seconds = Field(120, description="Seconds a tool may take where it sets no limit of its own.")
    max_output: int = Field(
        16_000, gt=200, description="Characters of a tool's output that a model sees; the whole output becomes a file."
    )
    offered: int = Field(8, gt=0, description="Tools a model is shown at once; it can search for the others.")
    programs: tuple[Path, ...] = Field(
        (), description="Folders of programs, such as ~/.nvm/versions/node/v22, that sandboxed code may read and run."
    )
    container_image: str = Field(
        "docker.io/library/node:22",
        description="Image that sandboxed code runs in where there is a container engine and no bubblewrap.",
    )
    private_hosts: Words = Field(
        (), description="Names, addresses or networks of your own that tools may reach although they are not public."
    )
    ports: tuple[int, ...] = Field((80, 443), description="Ports of public hosts that tools may reach.")
    answer_seconds: Seconds = Field(
        300, description="Seconds that a running call waits for what its tool server asks you; then that counts as no."
    )
    resume_hours: Seconds = Field(
        24, description="Hours for which Portal tries to begin what was decided and could not go on; then it says so."
    )
    approval_hours: Seconds = Field(24, description="Hours until an unanswered question to a person counts as no.")


class SkillSettings(Section):
    """Skills: instructions, references and scripts that models load when a task needs them."""

    folders: tuple[Path, ...] = Field(
        (), description="Folders of skills beside `skills` in the data folder, such as ~/.agents/skills."
    )
    trusted: Words = Field((), description="Names of skills whose words count as yours, not as a stranger's.")


class PolicySettings(Section):
    """One rule on tools, `[[policies]]`. The first that fits decides; without one, reading runs, all else asks."""

    action: Literal["allow", "ask", "deny"] = Field(description="What happens to such a call: allow, ask or deny.")
    tool: str = Field("*", description="Name of the tool, or a pattern such as git_*.")
    risk: Literal["", Risk] = Field("", description="Only tools of this risk.")
    workspace: str = Field("*", description="Only in this workspace, or those of this pattern.")
    user: str = Field("", description="Only for the user with this id.")
    path: str = Field(
        "",
        description="Only for this folder, such as /srv/notes or ~/notes. To allow, every path of the call must be in "
        "it; to ask or deny, one that is in it is enough, or one that it is in.",
    )
    domain: str = Field(
        "",
        description="Only for this domain and those below it, such as example.org. To allow, every address of the call "
        "must be there; to ask or deny, one is enough, or one that cannot be read.",
    )

    @field_validator("path")
    @classmethod
    def _whole_path(cls, path: str) -> str:
        """Absolute: a policy that could never fit would deny nothing, and nobody would know."""
        if not path.strip():
            return ""
        try:
            whole = Path(path.strip()).expanduser()
        except RuntimeError as error:
            raise ValueError(f"{path!r} names a home folder that is not there") from error
        if not whole.is_absolute() or "\0" in path:
            raise ValueError(f"{path!r} is no whole path, such as /srv/notes or ~/notes")
        return "/" + posixpath.normpath(whole.as_posix()).lstrip("/")

    @field_validator("domain")
    @classmethod
    def _plain_domain(cls, domain: str) -> str:
        """As addresses are compared: in small letters and ASCII, without a scheme."""
        from yarl import URL  # only who has such a policy pays for it

        if not domain.strip():
            return ""
        name = domain.strip().removeprefix("*.").removeprefix(".")
        try:
            url = URL(name if "://" in name else f"https://{name}")
            bare = url.path == "/" and not url.query_string and not url.raw_user and url.explicit_port is None
            host = (url.raw_host or "").strip(".").lower()
        except ValueError as error:
            raise ValueError(f"{domain!r} is no domain, such as example.org") from error
        if not bare or not host or any(sign in host for sign in " %*\\"):
            raise ValueError(f"{domain!r} is no domain, such as example.org; leave out paths and ports")
        return host
