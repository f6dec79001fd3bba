"""Settings of several people on one installation."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from portal.settings.section import Section

ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
GivenRole = Literal["admin", "member", "guest"]


class OidcSettings(Section):
    """One identity provider (OpenID Connect)."""

    issuer: str = Field(
        description="Its address, as its own documents name it, such as https://id.example.org/realms/x."
    )
    client_id: str = Field(min_length=1, description="The name under which Portal is registered there.")
    client_secret: SecretStr | None = Field(None, description="Its secret; none for a public client.")
    label: str = Field("", description="What the button says; the provider's name by default.")
    scopes: tuple[str, ...] = Field(("openid", "profile", "email"), description="What is asked for.")
    create: bool = Field(False, description="Let in people whom Portal does not know yet.")
    default_role: GivenRole = Field("member", description="Their role where no group says another.")
    match_email: bool = Field(
        False,
        description="Know people by an e-mail address that the provider has verified, if it is their sign-in name.",
    )
    groups_claim: str = Field("groups", description="The claim that tells somebody's groups.")
    roles: dict[str, GivenRole] = Field(
        {}, description="Roles by group, at each sign-in; of several the highest. The owner stays the owner."
    )
    required_group: str = Field("", description="A group without which nobody comes in.")

    @field_validator("issuer")
    @classmethod
    def _secure(cls, issuer: str) -> str:
        local = ("http://localhost", "http://127.0.0.1", "http://[::1]")
        if not issuer.startswith("https://") and not issuer.startswith(local):
            raise ValueError("an identity provider is reached over https")
        return issuer.rstrip("/")


class TermSettings(Section):
    """What people of one role may use, and how much of it; 0 is any number."""

    scopes: tuple[str, ...] = Field(
        (), description="Such as `models:qwen*`, `workspaces:auto`, `tools:none`; empty is everything the role may."
    )
    rate: int = Field(0, ge=0, description="Requests a minute.")
    requests: int = Field(0, ge=0, description="Calls of models a day.")
    tokens: int = Field(0, ge=0, description="Tokens a day, in and out.")


class LimitSettings(Section):
    """How often and how much at once anybody may ask; 0 is any number. The owner on this machine is not bounded."""

    person: int = Field(1200, ge=0, description="Requests a minute of one person.")
    address: int = Field(3000, ge=0, description="Requests a minute from one address.")
    person_at_once: int = Field(200, ge=0, description="Requests, streams and sockets of one person that are open.")
    address_at_once: int = Field(500, ge=0, description="Requests, streams and sockets from one address that are open.")
    messages: int = Field(60, ge=0, description="Messages a minute of one person on chat platforms.")


class PeopleSettings(Section):
    """People: how they sign in, and what each role may use."""

    attempts: int = Field(
        10, gt=0, description="Failures to sign in with a password, of one account or address, until it has to wait."
    )
    attempt_minutes: float = Field(15, gt=0, description="Minutes for which such failures count.")
    oidc: dict[ProviderName, OidcSettings] = Field({}, description="Identity providers by a name of your choice.")
    sharing: bool = Field(False, description="Let people share a conversation by a link, to be read by whoever has it.")
    roles: dict[GivenRole, TermSettings] = Field(
        {"guest": TermSettings(scopes=("tools:none",))},
        description="What people of a role may use; guests use no tools unless this says otherwise.",
    )
