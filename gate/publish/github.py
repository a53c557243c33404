"""Publishes to a GitHub release: finds or makes the release of the version's tag, and attaches the files to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from gate.config.publishing import GithubRelease as Settings
from gate.errors import OperationFailed
from gate.publish.attempts import Again, Client
from gate.publish.parcel import KINDS, Parcel

_VERSION = "2022-11-28"
"""Of the REST API whose answers this reads."""
_RIGHTS = "the token of [publish.github] needs the right to write the repository's contents"


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
        return str(release["html_url"])

    def _release(self, tag: str, parcel: Parcel) -> dict[str, Any]:
        found = self._ask("GET", f"{self._repository}/releases/tags/{quote(tag, safe='')}")
        if found.status_code == 200:
            return _object(found)
        if found.status_code != 404:
            raise self._refused(f"release {tag} cannot be looked up", found)
        wanted = {"tag_name": tag, "name": tag, "body": "Deployed by the deploy gate; the evidence of it is attached."}
        if self._ask("GET", f"{self._repository}/git/ref/tags/{quote(tag, safe='')}").status_code != 200:
            # GitHub would make the tag too, of whatever its default branch is at by now.
            if parcel.commit is None:
                raise OperationFailed(
                    f"{self._settings.repository} has no tag {tag} (or the token may not see it), "
                    "and the release names no commit to make it of",
                    next_step=f"git tag {tag} && git push origin {tag}",
                )
            wanted["target_commitish"] = parcel.commit
        made = self._ask("POST", f"{self._repository}/releases", json=wanted)
        if made.status_code == 201:
            return _object(made)
        if made.status_code == 422 and "already_exists" in _codes(made):
            raise Again("somebody else made the release just now", 1.0)
        raise self._refused(f"release {tag} cannot be made", made)

    def _attach(self, release: dict[str, Any], name: str, file: Path) -> None:
        """Uploads a file in place of any of its name; one that an earlier attempt began is in the way as well."""
        for asset in self._assets(release):
            if asset.get("name") == name:
                gone = self._ask("DELETE", f"{self._repository}/releases/assets/{int(asset['id'])}")
                if gone.status_code not in (204, 404):
                    raise self._refused(f"the older {name} cannot be replaced", gone)
        with file.open("rb") as stream:
            size = file.stat().st_size
            headers = {"Content-Type": KINDS[file.suffix], "Content-Length": str(size)}
            answer = self._ask("POST", self._upload_url(release), params={"name": name}, data=stream, headers=headers)
        if answer.status_code == 422 and "already_exists" in _codes(answer):
            raise Again("somebody else uploaded it just now", 1.0)
        if answer.status_code != 201:
            raise self._refused(f"{name} was not taken", answer)
        told = _object(answer)
        if told.get("state") != "uploaded" or told.get("size") != size:
            raise Again(f"only {told.get('size')} of {size} bytes have arrived")

    def _assets(self, release: dict[str, Any]) -> Iterator[dict[str, Any]]:
        url: str | None = f"{self._repository}/releases/{int(release['id'])}/assets?per_page=100"
        while url is not None:
            answer = self._ask("GET", url)
            if answer.status_code != 200:
                raise self._refused("what is attached already cannot be listed", answer)
            yield from _list(answer)
            url = answer.links.get("next", {}).get("url")

    def _upload_url(self, release: dict[str, Any]) -> str:
        return str(release.get("upload_url", "")).partition("{")[0]

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response:
        """A request with the token, which no stranger may hear, whatever an answer names as the next place."""
        api, asked = urlsplit(self._settings.api), urlsplit(url)
        hosts = {api.netloc, f"uploads.{api.netloc.removeprefix('api.')}"}
        if asked.scheme != api.scheme or asked.netloc not in hosts:
            raise OperationFailed(f"{self._settings.api} names another host, {asked.netloc!r}, which gets no token")
        headers = {**self._headers, **options.pop("headers", {})}
        return self._client.send(method, url, headers=headers, **options)

    def _refused(self, what: str, answer: requests.Response) -> OperationFailed:
        step = _RIGHTS if answer.status_code in (401, 403, 404) else None
        told = f"{what}: status {answer.status_code}: {_message(answer)}"
        return OperationFailed(f"{self._settings.repository}: {told}", next_step=step)


def _list(answer: requests.Response) -> list[dict[str, Any]]:
    """The objects in an answer. Raises Again where there are none."""
    try:
        found = answer.json()
    except requests.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise Again("the answer is no list")
    return [item for item in found if isinstance(item, dict)]


def _object(answer: requests.Response) -> dict[str, Any]:
    """The object in an answer. Raises Again where there is none: a proxy on the way may have answered."""
    try:
        found = answer.json()
    except requests.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Again("the answer is no object")
    return found


def _message(answer: requests.Response) -> str:
    """What GitHub says about an error."""
    try:
        found = _object(answer)
    except Again:
        return answer.reason or "no words"
    return "; ".join(filter(None, [str(found.get("message", "")), ", ".join(sorted(_codes(answer)))]))[:300]


def _codes(answer: requests.Response) -> set[str]:
    """The codes of the errors in an answer, such as ``already_exists``."""
    try:
        errors = _object(answer).get("errors", [])
    except Again:
        return set()
    return {str(item.get("code")) for item in errors if isinstance(item, dict)} if isinstance(errors, list) else set()
