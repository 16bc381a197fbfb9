"""What every function stands on: its settings, with the secret key from where AWS keeps it. Read once in a function's life."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from newsletter import publication
from newsletter.errors import SettingsError
from newsletter.publication import Publication
from newsletter.settings import Settings


@cache
def settings() -> Settings:
    """The settings; where SECRET_KEY_ARN names a secret, with its text as the key. Raises SettingsError."""
    own = Settings.from_env()
    return replace(own, secret_key=_secret(own.secret_key_arn)) if own.secret_key_arn else own


@cache
def facts() -> Publication:
    """The publication, as it was when the archive was built; its site's address is the one that SITE_URL names, if any."""
    read, site_url = publication.load(Path(publication.FILE)), settings().site_url
    return replace(read, site_url=site_url) if site_url else read


def _secret(arn: str) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("secretsmanager", region_name=arn.split(":")[3])
        return str(client.get_secret_value(SecretId=arn)["SecretString"])
    except (BotoCoreError, ClientError, IndexError) as error:
        raise SettingsError(
            f"SECRET_KEY_ARN: {arn}: cannot be read ({error}). The function's role needs "
            "secretsmanager:GetSecretValue on it."
        ) from error
