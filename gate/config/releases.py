"""What is deployed and where it comes from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from gate.config.fields import Command, Section, UrlPath, placeholders


class App(Section):
    """What is deployed and where users reach it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", description="Short name: letters, digits, dashes")]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+", description="The front door, as users reach it")]
    ca: str | None = Field(
        None, description="PEM file of the authority that signed the front door's certificate, if it is a private one"
    )


class Releases(Section):
    """Where releases come from: a folder with one sub-folder a version, or an image repository with one tag a version.

    A missing version is made by ``build``. Of an image, ``source`` keeps what the checks and the migrations read.
    """

    source: Annotated[str, Field(description="Folder that holds one folder per version")]
    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$")] | None = Field(
        None, description="Image repository, without a tag; version 1.1.0+a has the tag 1.1.0_a"
    )
    inside: UrlPath = Field("/app", description="The release's folder in the image, where its commands run")
    build: Annotated[Command, placeholders("python version folder image tag")] | None = Field(
        None, description="Builds a missing version: {version}, and {folder} or {image} and {tag}, are replaced"
    )

    @field_validator("image")
    @classmethod
    def _untagged(cls, image: str | None) -> str | None:
        if image is not None and ":" in image.rpartition("/")[2]:
            raise ValueError(f"{image!r} has a tag: write the repository alone, the version is the tag")
        return image
