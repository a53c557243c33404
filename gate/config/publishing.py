"""Where the evidence of a deployment is published to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gate.config.fields import Seconds, Section
from gate.redact import Secret

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]


class Bucket(Section):
    """A bucket of Amazon S3 or of anything that speaks its protocol; needs `pip install '.[s3]'`."""

    url: Annotated[HttpUrl, Field(description="Of the bucket, and a folder in it: https://HOST/BUCKET/FOLDER")]
    region: str = Field("us-east-1", description="Of the bucket, or what its server takes for one")
    access_key: Annotated[Secret, Field(description="From a variable: ${AWS_ACCESS_KEY_ID}")]
    secret_key: Annotated[Secret, Field(description="From a variable: ${AWS_SECRET_ACCESS_KEY}")]
    session_token: Secret | None = Field(None, description="Of credentials that expire")


class GithubRelease(Section):
    """The release of a version's tag on GitHub; it is made where the tag has none."""

    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", description="OWNER/NAME")]
    token: Annotated[
        Secret, Field(description="From a variable: ${GITHUB_TOKEN}; it may write the repository's contents")
    ]
    tag: str = Field("v{version}", description="The release's tag; {version} is the deployed version")
    api: HttpUrl = Field("https://api.github.com", description="Of a GitHub server of your own: https://HOST/api/v3")


class Publish(Section):
    """Where the evidence goes at the end of every deployment; a failure is told and changes no outcome."""

    folder: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A folder, such as one that a web server shows"
    )
    s3: Bucket | None = None
    github: GithubRelease | None = None
    timeout: Annotated[Seconds, Field(gt=0)] = Field(60.0, description="For each of them, all attempts together")

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of those that are configured."""
        return tuple(name for name in ("folder", "s3", "github") if getattr(self, name) is not None)
