"""Settings of the files that people upload and that tools make."""

from typing import Literal

from pydantic import Field, SecretStr

from portal.settings.section import Section


class S3Settings(Section):
    """A bucket of an S3-compatible store for the content of files (extra `s3`)."""

    bucket: str = Field("", description="The bucket, which must be there.")
    endpoint: str = Field("", description="Address of the store, such as https://minio.example:9000; empty for AWS.")
    region: str = Field("us-east-1", description="Region of the bucket; most stores other than AWS take any.")
    key: str = Field("", description="The access key id; empty for the rights of the machine on AWS.")
    secret: SecretStr | None = Field(None, description="The secret access key.")
    path_style: bool = Field(
        True, description="The bucket's name in the path, as most stores want it; false for it in the host's name."
    )
    prefix: str = Field("", description="Put before the name of every object, for a bucket that others use as well.")


class FileSettings(Section):
    """Where files are kept, how much of them, and how long."""

    store: Literal["database", "s3"] = Field(
        "database", description="Where the content of new files goes: database or s3; older files stay where they are."
    )
    s3: S3Settings = S3Settings()
    quota: int = Field(
        0, ge=0, description="Bytes that the files of one person may take, equal ones counted once; 0 for any number."
    )
    keep_days: int = Field(
        0,
        ge=0,
        description="Days after which files are deleted that were not uploaded with an expiry of their own and are in "
        "no collection of documents; 0 keeps them.",
    )
