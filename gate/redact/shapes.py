"""What looks like a secret though nobody declared it: credentials in URLs and headers, and tokens by their shape.

Every repetition is bounded, or cannot fail once it began: a hostile line of a megabyte costs no more than a tame one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from gate.redact.secret import REDACTED

_QUOTE = r"(?:\\{0,3}['\"]|&quot;|&#3[49];|&#x27;)"
_IS = rf"(?:{_QUOTE}?\s{{0,4}}[:=]|{_QUOTE}\s{{0,2}},)\s{{0,4}}(?:[\[(](?!redacted\]))?(?:b(?=['\"]))?{_QUOTE}?"
_VALUE = r"[^\s'\",;\\<&]+"

# The user may be shown, the password not.
_URL_PASSWORD = re.compile(r"(?P<head>[a-z0-9]://[^\s/:@'\"]{0,256}):[^\s/@'\"]{1,1024}@", re.I)
_URL_TOKEN = re.compile(r"(?<=://)[0-9a-f]{20,64}(?=@)", re.I)
_QUERY = re.compile(
    r"(?P<head>[?&;](?:access_token|refresh_token|id_token|auth|api_?key|token|passw(?:or)?d|secret|client_secret"
    r"|sig|signature|x-amz-(?:signature|security-token|credential)|x-goog-signature)=)[^&\s'\"<>\\]+",
    re.I,
)
_AUTHORIZATION = re.compile(
    rf"(?P<head>\b(?:proxy-)?authorization{_IS})"
    rf"(?P<scheme>(?:basic|bearer|token|apikey|api-key|negotiate|ntlm)\s{{1,4}})?"
    rf"(?:(?:digest|aws4-hmac-sha256|hawk|signature|oauth)\s[^\r\n]*|{_VALUE})",
    re.I,
)
_COOKIES = re.compile(rf"(?P<head>\b(?:set-)?cookie{_IS})[^\s'\"=;,<]{{1,128}}=[^\r\n'\"\\<]*", re.I)
_KEY_HEADERS = re.compile(
    r"(?P<head>\b(?:x-(?:api-key|auth-token|access-token|amz-security-token|vault-token|csrf-token|gitlab-token)"
    rf"|private-token){_IS}){_VALUE}",
    re.I,
)
_PASSWORD = re.compile(
    rf"(?P<head>(?:passw(?:or)?d|pwd|aws_secret_access_key)=(?:{_QUOTE})?)(?P<value>[^\s'\",;&)<\\]{{1,256}})", re.I
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.]*|\[redacted\]?|\{.*\}|[*.]+")
_BASIC = re.compile(r"(?P<head>\bbasic\s{1,4})(?P<value>[A-Za-z0-9+/_-]{6,1024}={0,2})", re.I)
_BEARER = re.compile(r"(?P<head>\bbearer\s{1,4})(?=[A-Za-z._~+/-]{0,256}[0-9])[A-Za-z0-9._~+/=-]{12,}", re.I)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:\s|\\{1,4}[nr]|[\"',|>+]|[A-Za-z0-9+/]{16,}+={0,2}|(?:Proc-Type|DEK-Info|Version|Comment): [^\r\n\\]{0,80})*+"
    r"(?:[A-Za-z0-9+/=]{1,76}(?:\s|\\{1,4}[nr])*+)?+(?:-----END [A-Z0-9 ]{1,48}-----)?"
)
# A word boundary, after an escape as well: %3D, \n, \u003d.
_BEGINS = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt])|(?<=\\u[0-9A-Fa-f]{4}))"
_TOKENS = re.compile(
    rf"{_BEGINS}(?:"
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[a-z](?:-|%2d)[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"
    r"|A[KS]IA[0-9A-Z]{16}(?![0-9A-Za-z])|AIza[0-9A-Za-z_-]{35}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}"
    r"|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{10,400}+\.[A-Za-z0-9_-]{10,8192}+\.[A-Za-z0-9_-]{5,}"
    r")"
)
_TOKEN_WORDS = (
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "xapp-", "akia", "asia", "aiza", "npm_",
    "pypi-", "_live_", "_test_", "whsec_", "sg.", "eyj",
)  # fmt: skip
_WEBHOOK = re.compile(r"(?<=hooks\.slack\.com)/(?:services|workflows|triggers)/[A-Za-z0-9/_-]+", re.I)


def withhold(text: str) -> str:
    """``text`` without what looks like a secret.

    Each pattern is tried only where a word that it needs occurs: most texts have none of them, and looking for a word
    is a hundred times as fast.
    """
    small = text.lower()
    for words, pattern, instead in _SHAPES:
        if any(word in small for word in words):
            text = pattern.sub(instead, text)
    return text


def _authorization(found: re.Match[str]) -> str:
    return f"{found['head']}{found['scheme'] or ''}{REDACTED}"


def _password(found: re.Match[str]) -> str:
    """Source code says ``password=password``: a name is none."""
    return found[0] if _NAME.fullmatch(found["value"]) else f"{found['head']}{REDACTED}"


def _basic(found: re.Match[str]) -> str:
    """``Basic`` is an ordinary word as well: what follows it must hold a user and a password."""
    value = found["value"].rstrip("=")
    try:
        told = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_" if set("-_") & set(value) else None)
    except (binascii.Error, ValueError):
        return found[0]
    return f"{found['head']}{REDACTED}" if b":" in told else found[0]


_SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (("private key",), _PRIVATE_KEY, REDACTED),
    (("@",), _URL_PASSWORD, rf"\g<head>:{REDACTED}@"),
    (("@",), _URL_TOKEN, REDACTED),
    (_TOKEN_WORDS, _TOKENS, REDACTED),
    (("hooks.slack.com",), _WEBHOOK, f"/{REDACTED}"),
    (("token=", "auth=", "key=", "passwd=", "password=", "secret=", "sig=", "signature=", "credential="),
     _QUERY, rf"\g<head>{REDACTED}"),
    (("passwd=", "password=", "pwd=", "aws_secret_access_key="), _PASSWORD, _password),
    (("authorization",), _AUTHORIZATION, _authorization),
    (("cookie",), _COOKIES, rf"\g<head>{REDACTED}"),
    (("x-api", "-token", "x-access", "x-vault"), _KEY_HEADERS, rf"\g<head>{REDACTED}"),
    (("basic",), _BASIC, _basic),
    (("bearer",), _BEARER, rf"\g<head>{REDACTED}"),
)  # fmt: skip
"""The words (small letters) of which a text must hold one, what is looked for then, and what is put in its place."""
