"""The local SES: one HTTP server on this machine that stands in for Amazon SES v2 and Amazon SQS.

    boto3 sesv2 ──► app ──► operations/* ──► sending ──► message ──► mailbox (.eml) + accepts.jsonl
                     │          │               └──────► events ──► queue ◄── sqs ◄── boto3 sqs
                     └ faults   └ shapes, limits: what AWS refuses, from botocore's own model
    browser ──► app ──► pages (the mailbox)

It refuses what AWS refuses, publishes the events that AWS publishes and can fail in the ways a plan
file says (faults.py). It delivers nothing to anybody. This file imports nothing but the settings, so
that a command which never serves does not pay for the web server.
"""

from newsletter.local_ses.config import LocalSesConfig, RunningSes

__all__ = ["LocalSesConfig", "RunningSes"]
