"""Who is told of what happens, and how."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gate.config.fields import Seconds, Section
from gate.redact import Secret


class Occasion(StrEnum):
    """What somebody may be told of."""

    STARTED = "started"
    RELEASED = "released"
    HELD = "held"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    RESTORED = "restored"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    DEAD = "dead"
    ALERT = "alert"
    TEST = "test"


def _http(value: Secret) -> Secret:
    if value and not re.fullmatch(r"https?://[^\s/?#]+(/\S*)?", value.reveal()):
        raise ValueError("write a whole address, https://…")
    return value


Address = Annotated[Secret, AfterValidator(_http)]
Events = Annotated[list[Annotated[Occasion, Field(strict=False)]], Field(min_length=1)]
_EVENTS = "What it is told of; default: all"


def _all() -> list[Occasion]:
    return [occasion for occasion in Occasion if occasion is not Occasion.TEST]


class Slack(Section):
    """An incoming webhook of Slack, or of anything that takes `{"text": …}`: Mattermost, Rocket.Chat, Zulip."""

    kind: Literal["slack"]
    url: Annotated[Address, Field(description="From a variable: ${SLACK_WEBHOOK_URL}; empty: switched off")]
    events: Events = Field(default_factory=_all, description=_EVENTS)

    @property
    def on(self) -> bool:
        """Whether it is switched on: a variable that may be unset may have left it empty."""
        return bool(self.url)


class Webhook(Section):
    """Any address that takes a JSON document by POST."""

    kind: Literal["webhook"]
    url: Annotated[Address, Field(description="Where the document goes; empty: switched off")]
    secret: Secret | None = Field(None, description="Signs the body: HMAC-SHA256 in the header X-Deploy-Gate-Signature")
    events: Events = Field(default_factory=_all, description=_EVENTS)

    @property
    def on(self) -> bool:
        """Whether it is switched on: a variable that may be unset may have left it empty."""
        return bool(self.url)


class Email(Section):
    """A mail server that takes mail by SMTP."""

    kind: Literal["email"]
    host: str = Field(description="Of the server; empty: switched off")
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none only for a server on this machine: then nothing is encrypted"
    )
    username: str | None = None
    password: Secret | None = Field(None, description="From a variable")
    sender: Annotated[str, Field(pattern=r"^[^\s<>]+@[^\s<>]+$")]
    recipients: Annotated[list[Annotated[str, Field(pattern=r"^[^\s<>]+@[^\s<>]+$")]], Field(min_length=1)]
    events: Events = Field(default_factory=_all, description=_EVENTS)

    @property
    def on(self) -> bool:
        """Whether it is switched on: a variable that may be unset may have left it empty."""
        return bool(self.host)


Target = Annotated[Slack | Webhook | Email, Field(discriminator="kind")]


class Notify(Section):
    """Whoever is told of deployments. What cannot be sent is said, and changes nothing."""

    timeout: Annotated[Seconds, Field(gt=0, le=60)] = Field(
        5.0, description="How long a command waits at its end for what is still on its way"
    )
    targets: dict[str, Target] = Field({}, description="By a name of your own: kind = slack, webhook or email")
