"""How each kind of target is told: one attempt, which works, raises Again for what may pass, or OperationFailed."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from gate.config.notifying import Email, Slack, Target, Webhook
from gate.errors import OperationFailed
from gate.machine import deadline
from gate.notify.message import Message
from gate.publish.attempts import Again, Client

SIGNATURE = "X-Deploy-Gate-Signature"
DELIVERY = "X-Deploy-Gate-Delivery"

_PASSING = range(400, 500)  # of SMTP: try again later
_TURNS = 4
"""How often as long as one answer the whole conversation with a mail server may take."""
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKDOWN = re.compile(r"(?<![^\W_])@|\](?=[(\[:])")
"""Where a mention, a link or a link's target begins in Markdown; an ``@`` within an address begins none."""
_UNSEEN = "\u200b"
"""A space without width: what stands on both sides of it is read alike, and is no sign of anything together."""


def tell(target: Target, message: Message, client: Client, patience: float) -> None:
    """Tells ``target`` once; ``patience`` is how long a mail server may take to answer, in seconds."""
    if isinstance(target, Email):
        _mail(target, message, patience)
        return
    body, headers = _slack(message) if isinstance(target, Slack) else _document(target, message)
    _post(client, target.url.reveal(), body, headers)


def _slack(message: Message) -> tuple[bytes, dict[str, str]]:
    text = "\n".join([f"*{_quiet(message.subject)}*", *map(_quiet, message.lines)])
    return json.dumps({"text": text}).encode(), {}


def _quiet(line: str) -> str:
    """A line that calls nobody and shows no link that leads elsewhere: neither in Slack, nor in what reads Markdown."""
    return _MARKDOWN.sub(lambda found: found[0] + _UNSEEN, line).translate(_SLACK)


def _document(target: Webhook, message: Message) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(message.document()).encode()
    headers = {DELIVERY: message.id}
    if target.secret is not None:
        made = hmac.new(target.secret.reveal().encode(), body, hashlib.sha256)
        headers[SIGNATURE] = f"sha256={made.hexdigest()}"
    return body, headers


def _post(client: Client, url: str, body: bytes, headers: dict[str, str]) -> None:
    answer = client.send("POST", url, data=body, headers={"Content-Type": "application/json", **headers}, read=False)
    if not 200 <= answer.status < 300:
        raise OperationFailed(f"refused with status {answer.status}")


def _mail(target: Email, message: Message, patience: float) -> None:
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = target.sender
    mail["To"] = ", ".join(target.recipients)
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = make_msgid(message.id, target.sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join([message.subject, "", *message.lines, ""]))

    def sending() -> dict[str, tuple[int, bytes]]:
        with _connected(target, patience) as server:
            if target.username is not None and target.password is not None:
                server.login(target.username, target.password.reveal())
            return server.send_message(mail, target.sender, target.recipients)

    try:
        refused = deadline.within(_TURNS * patience, "sending a mail", sending)
    except deadline.TooLate:
        raise Again(f"not done within {_TURNS * patience:g} s") from None
    except smtplib.SMTPResponseException as fault:
        if fault.smtp_code in _PASSING:
            raise Again(f"status {fault.smtp_code}") from None
        raise OperationFailed(f"refused with status {fault.smtp_code}") from None
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as fault:
        raise OperationFailed(f"refused: {type(fault).__name__}") from None
    except (OSError, smtplib.SMTPException) as fault:
        raise Again(f"no answer: {type(fault).__name__}") from None
    if refused:
        raise OperationFailed(f"refused for {', '.join(sorted(refused))}")


def _connected(target: Email, patience: float) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if target.security == "tls":
        return smtplib.SMTP_SSL(target.host, target.port, timeout=patience, context=context)
    server = smtplib.SMTP(target.host, target.port, timeout=patience)
    if target.security == "starttls":
        server.starttls(context=context)
    return server
