"""Publishes into a bucket: one signed PUT for each file. botocore signs; nothing else of it is used."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from gate.config.publishing import Bucket as Settings
from gate.errors import OperationFailed
from gate.publish.attempts import Client
from gate.publish.parcel import KINDS, Parcel
from gate.redact import cut


class Bucket:
    """A bucket, addressed as its URL says."""

    def __init__(self, settings: Settings, *, within: float, client: Client | None = None) -> None:
        self._settings = settings
        self._client = client or Client(within)

    def publish(self, parcel: Parcel) -> str:
        for name, file in parcel.files.items():
            self._client.patiently(f"{self._settings.url}: {name}", lambda name=name, file=file: self._put(name, file))  # type: ignore[misc]
        return f"{self._settings.url.rstrip('/')}/{next(iter(parcel.files))}"

    def _put(self, name: str, file: Path) -> None:
        url = f"{self._settings.url.rstrip('/')}/{quote(name)}"
        headers = {"Content-Type": KINDS[file.suffix], "Content-Length": str(file.stat().st_size)}
        with file.open("rb") as stream:
            signed = self._signed(url, headers, stream)
            answer = self._client.send("PUT", url, headers=signed, file=stream)
        if answer.status not in (200, 201, 204):
            told = f"{name} was not taken: status {answer.status} {_code(answer.body)}".rstrip()
            raise OperationFailed(
                f"{self._settings.url}: {told}",
                next_step="check [publish.s3]: url, region, and what its keys may do",
            )

    def _signed(self, url: str, headers: dict[str, str], body: BinaryIO) -> dict[str, str]:
        """The headers with the signature of a PUT. Raises OperationFailed where botocore is not there."""
        try:
            from botocore.auth import S3SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials
        except ImportError:
            raise OperationFailed(
                "botocore is not installed", next_step="pip install '.[s3]' in the gate's own folder"
            ) from None
        token = self._settings.session_token
        keys = Credentials(
            self._settings.access_key.reveal(), self._settings.secret_key.reveal(), token.reveal() if token else None
        )
        request = AWSRequest("PUT", url, headers=headers, data=body)  # it is read for its hash, and left at its start
        S3SigV4Auth(keys, "s3", self._settings.region).add_auth(request)
        return dict(request.headers.items())


def _code(body: bytes) -> str:
    """The protocol's own name of an error, such as AccessDenied."""
    return cut.head(body.decode(errors="replace").partition("<Code>")[2].partition("</Code>")[0], 80)
