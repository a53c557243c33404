"""What runs the releases."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gate.config.fields import Section, UrlPath


class ProcessSettings(Section):
    """What runs the releases: processes of this machine."""

    kind: Literal["process"]


class DockerSettings(Section):
    """What runs the releases: containers of a Docker engine on this machine."""

    kind: Literal["docker"]
    host: Annotated[str, Field(pattern=r"^unix:///.+")] = Field(
        "unix:///var/run/docker.sock", description="Where the engine listens"
    )
    network: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        "bridge", description="Network of the containers; `host`: that of this machine, for servers on its loopback"
    )
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$")] | None = Field(
        None, description="Who runs inside, USER or UID:GID; left out: the image's own user"
    )
    read_only: bool = Field(True, description="Whether a container may write nowhere but into `tmpfs` and `mounts`")
    tmpfs: list[UrlPath] = Field(["/tmp"], description="Folders in memory a container may write into")  # noqa: S108
    mounts: list[str] = Field([], description="FOLDER:INSIDE or FOLDER:INSIDE:ro; {state} is replaced")
    pids: Annotated[int, Field(ge=16)] = Field(512, description="How many processes and threads a container may have")

    @model_validator(mode="after")
    def _mountable(self) -> DockerSettings:
        for mount in self.mounts:
            folder, inside, *rest = [*mount.split(":"), ""]
            if not folder or not inside.startswith("/") or rest not in ([""], ["ro", ""]):
                raise ValueError(f"mounts: {mount!r} is not FOLDER:INSIDE or FOLDER:INSIDE:ro")
        return self


Engine = Annotated[ProcessSettings | DockerSettings, Field(discriminator="kind")]
