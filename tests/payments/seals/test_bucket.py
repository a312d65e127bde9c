"""Heads in a bucket, against a server that speaks S3 and checks signatures."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.seals import heads, keys, publishing
from payments import seal_anchor, seal_bucket
from payments.seal_bucket import Bucket, BucketError
from tests.ledger.desk import Desk
from tests.payments.seals import bucket_server
from tests.payments.seals.bucket_server import BucketServer

# The server compares with its own clock.
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[BucketServer]:
    """Give a running server."""
    with bucket_server.running() as running:
        yield running


@pytest.fixture
def bucket(server: BucketServer) -> Bucket:
    """Give the bucket as the settings would name it."""
    return Bucket(f"{server.url}/heads/some prefix", "eu-central-1", server.key_id, server.secret)


@pytest.mark.parametrize("name", ["plain.jsonl", "2026-11-21/a b+c~é%20=&.jsonl"])
def test_an_object_arrives_as_it_was_sent(server: BucketServer, bucket: Bucket, name: str) -> None:
    body = f"{name} ünd\n".encode()
    bucket.put(name, body, now=NOW)
    bucket.put(name, body, now=NOW)
    assert server.objects()[f"some prefix/{name}"] == body.decode()


WRONG: dict[str, dict[str, Any]] = {
    "another secret": {"secret": "x"},
    "an unknown key": {"key_id": "AKIAXXXXXXXXXXXXXXXX"},
    "another bucket": {"address": "{url}/nobodys/x"},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_refusal_is_an_error_that_shows_no_secret(server: BucketServer, bucket: Bucket, what: str) -> None:
    changed = {name: value.format(url=server.url) for name, value in WRONG[what].items()}
    before = server.objects()
    with pytest.raises(BucketError) as caught:
        replace(bucket, **changed).put("refused.jsonl", b"x", now=NOW)
    assert server.secret not in str(caught.value)
    assert server.secret not in repr(bucket)
    assert str(caught.value).startswith("it answered 4")
    assert server.objects() == before


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/heads", "ftp://127.0.0.1/heads", "nothing", "http://"])
def test_an_address_where_nobody_is_is_an_error(bucket: Bucket, address: str) -> None:
    with pytest.raises(BucketError):
        replace(bucket, address=address).put("x", b"x", now=NOW)


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                while True:
                    taken.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for one in taken:
            one.close()
        thread.join(5)


def test_a_server_that_is_silent_is_left(bucket: Bucket, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal_bucket, "READ_SECONDS", 0.2)
    with pytest.raises(BucketError, match="Timeout"):
        replace(bucket, address=f"{silent}/heads").put("x", b"x", now=NOW)


def sealed(desk: Desk, *references: str) -> None:
    """Post sales and seal them, and publish."""
    desk.post(*(desk.sale(reference, 10) for reference in references))
    done = 0
    while done < len(references):
        done += seal_anchor.seal_and_publish(now=NOW)


def test_heads_reach_the_bucket_and_the_file_and_come_later_when_it_was_away(
    committed_desk: Desk, server: BucketServer, settings: Any, tmp_path: Any, silent: str
) -> None:
    place = f"{server.url}/heads/anchor"
    settings.SEAL_HEADS = str(tmp_path / "heads.jsonl")
    settings.SEAL_BUCKET, settings.SEAL_BUCKET_REGION = "http://127.0.0.1:1/heads", "eu-central-1"
    settings.SEAL_BUCKET_KEY_ID, settings.SEAL_BUCKET_SECRET = server.key_id, server.secret
    sealed(committed_desk, "a", "b")
    in_file = (tmp_path / "heads.jsonl").read_text().splitlines()
    assert len(in_file) >= 1
    assert publishing.missing("bucket:http://127.0.0.1:1/heads") == len(in_file)

    settings.SEAL_BUCKET = place
    sealed(committed_desk, "c")
    in_file = (tmp_path / "heads.jsonl").read_text().splitlines()
    stored = {name: body for name, body in server.objects().items() if name.startswith("anchor/")}
    assert sorted(line for body in stored.values() for line in body.splitlines()) == sorted(in_file)
    for name, body in stored.items():
        assert hashlib.sha256(body.encode()).hexdigest()[:16] in name
    assert publishing.missing(f"bucket:{place}") == 0
    with heads.Heads() as read:
        (tmp_path / "from-bucket.jsonl").write_text("".join(stored.values()))
        assert list(read.load(tmp_path / "from-bucket.jsonl")) == []
        assert read.last(committed_desk.book.code) == len(in_file)

    seal_anchor.publish(now=NOW)  # nothing new: nothing is written
    assert {name for name in server.objects() if name.startswith("anchor/")} == set(stored)


def test_no_key_is_in_what_is_published(committed_desk: Desk, settings: Any, tmp_path: Any) -> None:
    settings.SEAL_HEADS = str(tmp_path / "heads.jsonl")
    sealed(committed_desk, "a")
    (line,) = (tmp_path / "heads.jsonl").read_text().splitlines()
    assert settings.SEAL_KEY not in line
    signer = keys.signer()
    assert signer is not None
    assert json.loads(line)["key_id"] == signer.key_id
