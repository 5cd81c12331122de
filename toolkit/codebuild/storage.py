"""The bucket that hands archives to CodeBuild: found or made, in the right region, each archive sent once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from toolkit.aws.errors import explained
from toolkit.codebuild.context import Archive
from toolkit.errors import ToolkitError

PREFIX = "opt-ml/context/"
_LARGEST = 5 << 30  # of one PutObject


def default_bucket(region: str, account: str) -> str:
    """The bucket that the SageMaker SDK uses, too."""
    return f"sagemaker-{region}-{account}"


@dataclass(frozen=True)
class Stored:
    """An archive in the bucket.

    Attributes:
        bucket: its bucket.
        key: its key, made of its hash.
        sent: False where it was there already.
    """

    bucket: str
    key: str
    sent: bool

    @property
    def location(self) -> str:
        """As CodeBuild names it."""
        return f"{self.bucket}/{self.key}"


def find_bucket(s3: Any, name: str | None, account: str) -> str:
    """The bucket `name`, or the account's default one, which is made where it is missing.

    CodeBuild takes sources from its own region alone.

    Raises:
        ToolkitError: there is no such bucket, it is somebody else's, or it lies in another region.
    """
    region = s3.meta.region_name
    bucket = name or default_bucket(region, account)
    with explained(s3):
        try:
            answer = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
            found = answer.get("BucketRegion") or region
        except s3.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            headers = error.response["ResponseMetadata"]["HTTPHeaders"]
            if status == 404 and name is None:
                _make(s3, bucket, region)
                return bucket
            if status == 404:
                raise ToolkitError(
                    f"there is no bucket called {bucket}.",
                    f"aws s3 mb s3://{bucket} --region {region}, or leave --bucket out.",
                ) from None
            if status == 403:
                # Of another account, or the caller may not look at it: what is sent next tells.
                return bucket
            if status not in (301, 400):
                raise
            found = headers.get("x-amz-bucket-region") or "another region"
    if found != region:
        raise ToolkitError(
            f"the bucket {bucket} lies in {found}, and the build would run in {region}.",
            f"--region {found}, or --bucket with one in {region}.",
        )
    return bucket


def _make(s3: Any, bucket: str, region: str) -> None:
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **where)


def store(s3: Any, bucket: str, archive: Archive, account: str, *, own: bool) -> Stored:
    """Send the archive, unless the bucket has it.

    Args:
        s3: a boto3 client.
        bucket: of `find_bucket`.
        archive: what is sent.
        account: that the bucket must be of.
        own: the build gets an archive of its own, which nobody else uses and which goes after it.

    Raises:
        ToolkitError: a permission is missing, or the archive is too large for one request.
        WorkError: S3 was not reached.
    """
    if archive.size > _LARGEST:
        raise ToolkitError(
            f"the build context has {archive.size / 1e9:.1f} GB packed, 5 are allowed.",
            "Name what the build does not need in .dockerignore.",
        )
    key = f"{PREFIX}{archive.digest}{secrets.token_hex(4) if own else ''}.zip"
    if own or not _is_there(s3, bucket, key, account):
        with explained(s3), archive.path.open("rb") as content:
            s3.put_object(Bucket=bucket, Key=key, Body=content, ExpectedBucketOwner=account)
        return Stored(bucket, key, sent=True)
    return Stored(bucket, key, sent=False)


def _is_there(s3: Any, bucket: str, key: str, account: str) -> bool:
    with explained(s3):
        try:
            s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=account)
            return True
        except s3.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 403:  # S3 says only "Forbidden"
                raise ToolkitError(
                    f"s3:GetObject on {bucket}/{PREFIX}* or s3:ListBucket on {bucket} is missing.",
                    "`./build.py iam caller` prints what is needed.",
                ) from None
            if status != 404:
                raise
    return False


def remove(s3: Any, stored: Stored) -> None:
    """Delete the archive."""
    with explained(s3):
        s3.delete_object(Bucket=stored.bucket, Key=stored.key)
