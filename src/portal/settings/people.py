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


class PeopleSettings(Section):
    """People: how they sign in."""

    attempts: int = Field(
        10, gt=0, description="Failures to sign in with a password, of one account or address, until it has to wait."
    )
    attempt_minutes: float = Field(15, gt=0, description="Minutes for which such failures count.")
    oidc: dict[ProviderName, OidcSettings] = Field({}, description="Identity providers by a name of your choice.")
