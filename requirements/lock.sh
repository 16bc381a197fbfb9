#!/bin/sh
# Writes the two lock files anew (needs uv; `make lock` calls it). No index address goes into them.
set -eu
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="make lock"
lock() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links "$@"
}
lock requirements/build.in -o requirements/build.txt
lock --extra site pyproject.toml requirements/build.in -o requirements/run.txt
lock --all-extras -c requirements/run.txt pyproject.toml requirements/build.in -o requirements/dev.txt
# What runs in AWS Lambda: the mail half, without the site's packages.
lock --extra aws -c requirements/run.txt pyproject.toml -o requirements/aws.txt
