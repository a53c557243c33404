"""The front door."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gate.config.fields import Seconds, Section, TrafficStep


class Tls(Section):
    """TLS at the front door. The gate's own requests to a release without traffic come in at ``probes``, on a server at
    those of [engine]."""

    issuer: Literal["acme", "internal"] | None = Field(
        None,
        description="acme: a public authority, asked and renewed by the proxy; internal: one of the proxy's own, whose "
        "root certificate `status` names; left out: `certificate` and `key`",
    )
    certificate: str | None = Field(None, description="PEM file with the certificate and its chain")
    key: str | None = Field(None, description="PEM file with its key")
    probes: Annotated[str, Field(pattern=r"^127\.0\.0\.1:\d{2,5}$")] | None = Field(
        None, description="Loopback address for the gate's requests, plain HTTP; needed unless the engine is a server's"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Tls:
        files = [self.certificate, self.key]
        if self.issuer is not None and any(files):
            raise ValueError("issuer makes certificates, so certificate and key must be left out")
        if self.issuer is None and not all(files):
            raise ValueError('needs certificate and key, or issuer = "acme"')
        return self


class Traffic(Section):
    """The proxy in front of the releases, started and kept by the gate; with a `command` engine it is the team's."""

    listen: Annotated[str, Field(pattern=r"^([0-9A-Za-z.\-\[\]:]+:\d{2,5})?$")] = Field(
        "", description="host:port of the front door; needed unless that is the team's"
    )
    tls: Tls | None = Field(None, description="Encrypts the front door; left out: plain HTTP")
    try_duration: Seconds = Field(5.0, description="How long a request is held while no release answers")
    drain_timeout: Seconds = Field(30.0, description="How long requests in flight are waited for")
    steps: list[TrafficStep] = Field(
        [],
        description="Shares of live traffic the candidate is watched at; the last is 100%. Empty: nothing is watched",
    )
    sticky: Literal["cookie"] | None = Field(None, description="cookie: a browser stays with the release it was given")
    synthetic: str | None = Field(
        None, description="File of cases that send requests of the team's own while users send too few to judge by"
    )
    hold_for: Seconds = Field(3600.0, description="How long a held deployment waits for a person, then it rolls back")

    @model_validator(mode="after")
    def _growing(self) -> Traffic:
        shares = [share for share, _ in self.steps]
        if shares and (shares != sorted(set(shares)) or shares[-1] != 1):
            raise ValueError("steps: shares must grow, and the last must be 100%")
        return self
