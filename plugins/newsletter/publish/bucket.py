"""The bucket and the distribution in front of it, by boto3. Region, credentials and endpoints are boto3's own settings.

All of it may be repeated without harm, so boto3 may try as often as it does by itself.
Sources: API reference of S3 (PutObject's If-Match and If-None-Match, ListObjectsV2, DeleteObjects) and of CloudFront
(CreateInvalidation).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from newsletter.errors import PublishError, SettingsError
from newsletter.publish.piece import Head

if TYPE_CHECKING:
    from mypy_boto3_cloudfront import CloudFrontClient
    from mypy_boto3_s3 import S3Client

_AT_ONCE = 16
_MOST_DELETED = 1000  # keys a call of DeleteObjects
_ABSENT = {"NoSuchKey"}
_NOT_WRITTEN = {"PreconditionFailed", "ConditionalRequestConflict", *_ABSENT}
_MEND = {
    "NoSuchBucket": "Is SITE_BUCKET right? It is the output SiteBucket of the stack.",
    "AccessDenied": "These credentials need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and "
    "s3:DeleteObject on what is in it, and cloudfront:CreateInvalidation on the distribution.",
    "NoSuchDistribution": "Is SITE_DISTRIBUTION right? It is the output SiteDistribution of the stack.",
    "NoCredentialsError": "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "EndpointConnectionError": "Is AWS_ENDPOINT_URL_S3 right, and is something answering there?",
}


class Bucket:
    """One bucket, and the distribution in front of it ("" for none)."""

    def __init__(self, name: str, distribution: str = "", region: str = "") -> None:
        """Raises SettingsError where boto3 has settings that cannot be. Asks nobody yet."""
        import boto3  # half a second that other commands need not pay
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            retries={"total_max_attempts": 5, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=_AT_ONCE,
            user_agent_extra="monthly-briefing",
        )
        self._name, self._distribution = name, distribution
        try:
            self._s3: S3Client = boto3.client("s3", region_name=region or None, config=config)
            # CloudFront is asked in one region whatever is set; where none is set, boto3 would refuse.
            self._cloudfront: CloudFrontClient = boto3.client(
                "cloudfront", region_name=region or "us-east-1", config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(f"AWS: the settings for S3 cannot be used: {error}") from error

    def listing(self, prefix: str) -> dict[str, str]:
        """The ETag of each object below `prefix`, by the rest of its key, without its quotation marks."""
        found: dict[str, str] = {}
        parameters: dict[str, Any] = {"Bucket": self._name, "Prefix": prefix}
        while True:
            answer = self._call(self._s3.list_objects_v2, **parameters)
            for one in answer.get("Contents") or ():
                found[one["Key"].removeprefix(prefix)] = one["ETag"].strip('"')
            if not answer.get("IsTruncated"):
                return found
            parameters["ContinuationToken"] = answer["NextContinuationToken"]

    def get(self, key: str) -> tuple[bytes, str] | None:
        """An object's bytes and ETag; None where there is none."""
        answer = self._call(self._s3.get_object, unless=_ABSENT, Bucket=self._name, Key=key)
        return (answer["Body"].read(), answer["ETag"].strip('"')) if answer else None

    def put(self, key: str, body: bytes, head: Head | None = None) -> str:
        """Write an object with its headers; its ETag."""
        headers: dict[str, Any] = {}
        if head is not None:
            headers = {"ContentType": head.content_type, "CacheControl": head.cache_control}
            if head.packed:
                headers["ContentEncoding"] = "gzip"
        answer = self._call(self._s3.put_object, Bucket=self._name, Key=key, Body=body, **headers)
        return str(answer["ETag"]).strip('"')

    def put_if(self, key: str, body: bytes, etag: str | None) -> str | None:
        """Write it if it is still the one with that ETag (None: if there is none); its new ETag, or None if not.

        An answer may be lost and the call repeated, and then be refused though it was written: what is there tells.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
        answer = self._call(
            self._s3.put_object,
            unless=_NOT_WRITTEN,
            Bucket=self._name,
            Key=key,
            Body=body,
            **condition,
        )
        if answer:
            return str(answer["ETag"]).strip('"')
        there = self.get(key)
        return there[1] if there and there[0] == body else None

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, in their order; one that is not there is deleted already."""
        for first in range(0, len(keys), _MOST_DELETED):
            some = keys[first : first + _MOST_DELETED]
            answer = self._call(
                self._s3.delete_objects,
                Bucket=self._name,
                Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
            )
            for failure in answer.get("Errors") or ():
                raise PublishError(
                    f"s3://{self._name}/{failure.get('Key')}: could not be deleted: {failure.get('Message')}. "
                    "Publish again."
                )

    def invalidate(self, paths: Sequence[str]) -> None:
        """Have CloudFront forget its copies of these paths; without a distribution nothing is cached."""
        if not self._distribution:
            return
        self._call(
            self._cloudfront.create_invalidation,
            DistributionId=self._distribution,
            InvalidationBatch={
                "Paths": {"Quantity": len(paths), "Items": list(paths)},
                "CallerReference": secrets.token_hex(16),
            },
        )

    def _call(self, operation: Any, unless: set[str] | None = None, **parameters: Any) -> dict[str, Any]:
        """Make a call and say in our words how it failed; {} for an error whose code is in `unless`."""
        from botocore import exceptions as boto

        try:
            answer: dict[str, Any] = operation(**parameters)
        except boto.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if unless and code in unless:
                return {}
            message = str(error.response.get("Error", {}).get("Message", ""))
            raise PublishError(self._words(f"{code}: {message}", code)) from error
        except boto.BotoCoreError as error:
            raise PublishError(self._words(str(error), type(error).__name__)) from error
        return answer

    def _words(self, said: str, code: str) -> str:
        mend = _MEND.get(code, "The same command goes on from here.")
        return f"s3://{self._name}: {said.rstrip('. ')}. {mend}"
