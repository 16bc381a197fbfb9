"""The same system where AWS runs it: one Lambda function a module, each named after its handler in infra/template.yaml.

    CloudFront ─► HTTP API ─► door ─► store            SES's events ─► SNS ─► SQS ─► events ─► store
    every minute ─► schedule ─► postman ─► SES         batches ─► SQS ─► the workers

A function that starts cold pays for what it imports, and so boto3's clients are made when they are first asked, and
nothing here knows the site half or the command line.
"""
