"""The long-running parts of a release."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator

from gate.config.fields import Bytes, FieldReference, RoutePrefix, Seconds, Section, UrlPath, placeholders
from gate.redact import Secret


class Limits(Section):
    """Resources one instance of a service may use."""

    cpu: Annotated[float, Field(gt=0, description="Cores")]
    memory: Bytes


class Service(Section):
    """One long-running part of a release. With a ``route`` it takes traffic, without one it works in the background."""

    command: Annotated[list[str], placeholders("python socket host port folder root state version digest")] = Field(
        [], description="Argument list; run in the release's folder, never by a shell; needed unless the team starts it"
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Port it listens on in its container, where that has a network of its own"
    )
    route: RoutePrefix | None = Field(None, description="Path prefix of its traffic")
    health: UrlPath | None = Field(None, description="Answers 200 while the process lives")
    ready: UrlPath | None = Field(None, description="Answers 200 when the service can do its work")
    in_flight: FieldReference | None = Field(
        None, description="Where the number of requests in flight stands, the question itself not counted"
    )
    identity: FieldReference | None = Field(None, description="Where the running version stands")
    digest: FieldReference | None = Field(None, description="Where the running digest stands")
    start_timeout: Seconds = Field(30.0, description="Within this it must be healthy")
    stop_grace: Seconds = Field(30.0, description="From SIGTERM to SIGKILL")
    exclusive: bool = Field(False, description="Only one release's instance may run at a time (a worker)")
    limits: Limits | None = None
    env: dict[str, Secret] = Field({}, description="Its environment variables; it gets no others")
    log_errors: str = Field(r"\b(ERROR|CRITICAL|FATAL)\b", description="Pattern of an error line in the log")

    @model_validator(mode="after")
    def _consistent(self) -> Service:
        try:
            re.compile(self.log_errors)
        except re.error as fault:
            raise ValueError(f"log_errors is not a regular expression: {fault}") from None
        if self.route is not None and self.health is None:
            raise ValueError("a service with a route needs health, the path that answers 200 while it lives")
        if self.route is not None and self.identity is None:
            raise ValueError("a service with a route needs identity, so that every answer can be told apart")
        if self.route is not None and self.exclusive:
            raise ValueError("a service with a route cannot be exclusive: two releases serve during a deployment")
        return self
