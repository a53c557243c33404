"""Publishes to a GitHub release: finds or makes the release of the version's tag, and attaches the files to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from gate.config.publishing import GithubRelease as Settings
from gate.errors import OperationFailed
from gate.publish.attempts import Again, Answer, Client
from gate.publish.parcel import KINDS, Parcel
from gate.redact import cut

T = TypeVar("T")

_VERSION = "2022-11-28"
"""Of the REST API whose answers this reads."""
_RIGHTS = "the token of [publish.github] needs the right to write the repository's contents"


class _Release(BaseModel, strict=True):
    """What is read of a release."""

    id: int
    html_url: str
    upload_url: str


class _Asset(BaseModel, strict=True):
    """What is read of a file that is attached to a release."""

    id: int
    name: str
    state: str
    size: int


class _Error(BaseModel, strict=True):
    code: str


class _Refusal(BaseModel, strict=True):
    """What is read of an error."""

    message: str = ""
    errors: list[_Error | Any] = []


_RELEASE, _ASSET, _ASSETS = TypeAdapter(_Release), TypeAdapter(_Asset), TypeAdapter(list[_Asset])
_REFUSAL = TypeAdapter(_Refusal)


class GithubRelease:
    """The release of a tag in one repository. Every attempt looks first, for the one before may have got through."""

    def __init__(self, settings: Settings, *, within: float, client: Client | None = None) -> None:
        self._settings = settings
        self._repository = f"{settings.api.rstrip('/')}/repos/{settings.repository}"
        self._client = client or Client(within)
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {settings.token.reveal()}",
            "X-GitHub-Api-Version": _VERSION,
            "User-Agent": "deploy-gate",
        }

    def publish(self, parcel: Parcel) -> str:
        tag = self._settings.tag.replace("{version}", parcel.version)
        what = f"{self._settings.repository}: release {tag}"
        release = self._client.patiently(what, lambda: self._release(tag, parcel))
        for name, file in parcel.files.items():
            self._client.patiently(f"{what}: {name}", lambda name=name, file=file: self._attach(release, name, file))  # type: ignore[misc]
        return release.html_url

    def _release(self, tag: str, parcel: Parcel) -> _Release:
        found = self._ask("GET", f"{self._repository}/releases/tags/{quote(tag, safe='')}")
        if found.status == 200:
            return _read(_RELEASE, found)
        if found.status != 404:
            raise self._refused(f"release {tag} cannot be looked up", found)
        wanted = {"tag_name": tag, "name": tag, "body": "Deployed by the deploy gate; the evidence of it is attached."}
        if self._ask("GET", f"{self._repository}/git/ref/tags/{quote(tag, safe='')}").status != 200:
            # GitHub would make the tag too, of whatever its default branch is at by now.
            if parcel.commit is None:
                raise OperationFailed(
                    f"{self._settings.repository} has no tag {tag} (or the token may not see it), "
                    "and the release names no commit to make it of",
                    next_step=f"git tag {tag} && git push origin {tag}",
                )
            wanted["target_commitish"] = parcel.commit
        made = self._ask("POST", f"{self._repository}/releases", json=wanted)
        if made.status == 201:
            return _read(_RELEASE, made)
        if made.status == 422 and "already_exists" in _codes(made):
            raise Again("somebody else made the release just now", 1.0)
        raise self._refused(f"release {tag} cannot be made", made)

    def _attach(self, release: _Release, name: str, file: Path) -> None:
        """Uploads a file in place of any of its name; one that an earlier attempt began is in the way as well."""
        for asset in self._assets(release):
            if asset.name == name:
                gone = self._ask("DELETE", f"{self._repository}/releases/assets/{asset.id}")
                if gone.status not in (204, 404):
                    raise self._refused(f"the older {name} cannot be replaced", gone)
        with file.open("rb") as stream:
            size = file.stat().st_size
            headers = {"Content-Type": KINDS[file.suffix], "Content-Length": str(size)}
            answer = self._ask(
                "POST", release.upload_url.partition("{")[0], params={"name": name}, file=stream, headers=headers
            )
        if answer.status == 422 and "already_exists" in _codes(answer):
            raise Again("somebody else uploaded it just now", 1.0)
        if answer.status != 201:
            raise self._refused(f"{name} was not taken", answer)
        told = _read(_ASSET, answer)
        if told.state != "uploaded" or told.size != size:
            raise Again(f"only {told.size} of {size} bytes have arrived")

    def _assets(self, release: _Release) -> Iterator[_Asset]:
        url: str | None = f"{self._repository}/releases/{release.id}/assets?per_page=100"
        while url is not None:
            answer = self._ask("GET", url)
            if answer.status != 200:
                raise self._refused("what is attached already cannot be listed", answer)
            yield from _read(_ASSETS, answer)
            url = answer.following

    def _ask(self, method: str, url: str, **options: Any) -> Answer:
        """A request with the token, which no stranger may hear, whatever an answer names as the next place."""
        try:
            api, asked = urlsplit(self._settings.api), urlsplit(url)
        except ValueError:
            raise OperationFailed(
                f"{self._settings.api} names an address that is none: {cut.head(url, 200)!r}"
            ) from None
        hosts = {api.netloc, f"uploads.{api.netloc.removeprefix('api.')}"}
        if asked.scheme != api.scheme or asked.netloc not in hosts:
            raise OperationFailed(f"{self._settings.api} names another host, {asked.netloc!r}, which gets no token")
        headers = {**self._headers, **options.pop("headers", {})}
        return self._client.send(method, url, headers=headers, **options)

    def _refused(self, what: str, answer: Answer) -> OperationFailed:
        step = _RIGHTS if answer.status in (401, 403, 404) else None
        told = f"{what}: status {answer.status}: {_message(answer)}"
        return OperationFailed(f"{self._settings.repository}: {told}", next_step=step)


def _read(kind: TypeAdapter[T], answer: Answer) -> T:
    """What an answer holds. Raises Again where it is something else: a proxy on the way may have answered."""
    try:
        return kind.validate_json(answer.body)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        told = f"{where}: {first['msg']}" if where else first["msg"]
        raise Again(
            f"what came is no answer of GitHub's API ({cut.head(told, 200)})",
            next_step="see where [publish.github] api leads",
        ) from None


def _refusal(answer: Answer) -> _Refusal | None:
    """What GitHub says about an error; None where something else is said."""
    try:
        return _REFUSAL.validate_json(answer.body)
    except ValidationError:
        return None


def _message(answer: Answer) -> str:
    found = _refusal(answer)
    if found is None:
        return answer.reason or "no words"
    return cut.head("; ".join(filter(None, [found.message, ", ".join(sorted(_codes(answer)))])), 300)


def _codes(answer: Answer) -> set[str]:
    """The codes of the errors in an answer, such as ``already_exists``."""
    found = _refusal(answer)
    return {item.code for item in found.errors if isinstance(item, _Error)} if found is not None else set()
