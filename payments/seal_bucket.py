"""Heads in a bucket that speaks S3: one object for each batch, named by its content, so that none is ever replaced.

Written on urllib3 alone: of all that S3 is, this needs one verb (PUT) and one signature (AWS Signature Version 4),
which is forty lines. It must never retry (the anchor comes again), follow a redirect, or show a credential in an error.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5, sha256
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from config import seam

CONNECT_SECONDS, READ_SECONDS = 2.0, 5.0
_ALGORITHM = "AWS4-HMAC-SHA256"
_pools = urllib3.PoolManager(maxsize=1, retries=False)


class BucketError(Exception):
    """The bucket did not take an object; nothing is lost, it is tried again."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket behind an endpoint: `address` is `https://endpoint/bucket` or `https://endpoint/bucket/prefix`."""

    address: str
    region: str
    key_id: str
    secret: str = field(repr=False)

    def put(self, name: str, body: bytes, *, now: datetime) -> None:
        """Store one object. Repeating it changes nothing. Raises `BucketError`; waits at most for the two timeouts."""
        parts = urlsplit(self.address)
        path = quote(f"{parts.path.rstrip('/')}/{name}")
        headers = {
            "content-md5": base64.b64encode(
                md5(body, usedforsecurity=False).digest()
            ).decode(),  # wanted by locked buckets
            "content-type": "application/x-ndjson",
            "host": parts.netloc,
            "x-amz-content-sha256": sha256(body).hexdigest(),
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
        }
        headers["authorization"] = self._authorization(path, headers)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BucketError("its address is not https://endpoint/bucket")
        try:
            with seam.crossing("http", "PUT seal heads"):
                answer = _pools.request(
                    "PUT",
                    f"{parts.scheme}://{parts.netloc}{path}",
                    body=body,
                    headers=headers,
                    redirect=False,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                    preload_content=False,
                )
                answer.close()  # the status says everything, and a body could take its time
        except (HTTPError, LocationParseError, OSError) as error:
            raise BucketError(type(error).__name__) from error
        if answer.status not in (200, 201, 204):
            raise BucketError(f"it answered {answer.status}")

    def _authorization(self, path: str, headers: Mapping[str, str]) -> str:
        """Return the header that signs a PUT (AWS Signature Version 4, one chunk)."""
        names = ";".join(sorted(headers))
        request = "\n".join(
            ["PUT", path, "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
             headers["x-amz-content-sha256"]]
        )  # fmt: skip
        scope = f"{headers['x-amz-date'][:8]}/{self.region}/s3/aws4_request"
        text = "\n".join([_ALGORITHM, headers["x-amz-date"], scope, sha256(request.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return f"{_ALGORITHM} Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
