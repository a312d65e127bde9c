"""moto as a process of its own: a server that speaks S3, is not ours, and checks who signs.

It runs in an environment of its own (tests/moto.txt). The first calls are free: they make a user with a key, and a
bucket; from then on every request is refused unless that key has signed it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import apart

PINS = Path(__file__).resolve().parents[2] / "moto.txt"
LAUNCH = """
import json, sys
import boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://127.0.0.1:{port}"
def client(service, key="setup", secret="setup"):
    return boto3.client(service, endpoint_url=url, region_name="eu-central-1", aws_access_key_id=key,
                        aws_secret_access_key=secret)
iam = client("iam")
iam.create_user(UserName="sealer")
allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="sealer", PolicyName="put", PolicyDocument=json.dumps(allowed))
key = iam.create_access_key(UserName="sealer")["AccessKey"]
client("s3").create_bucket(Bucket="heads", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
print(json.dumps({"url": url, "key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
s3 = client("s3", key["AccessKeyId"], key["SecretAccessKey"])
for line in sys.stdin:
    found = {}
    for one in s3.list_objects_v2(Bucket="heads").get("Contents", []):
        found[one["Key"]] = s3.get_object(Bucket="heads", Key=one["Key"])["Body"].read().decode()
    print(json.dumps(found), flush=True)
server.stop()
"""
FREE_CALLS = "4"


@dataclass(frozen=True, slots=True)
class BucketServer:
    """A running server with one bucket called `heads`, and a key that may write there."""

    url: str
    key_id: str
    secret: str
    process: subprocess.Popen[str]

    def objects(self) -> dict[str, str]:
        """Return what is in the bucket, read with AWS's own client."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("list\n")
        self.process.stdin.flush()
        found: dict[str, str] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def running() -> Iterator[BucketServer]:
    """Run the server, and stop it afterwards."""
    python = apart.python_of("moto", PINS)
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": FREE_CALLS, "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(
        [str(python), "-c", LAUNCH],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            yield BucketServer(**json.loads(process.stdout.readline()), process=process)
        finally:
            process.kill()
