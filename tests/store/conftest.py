"""Object stores that the tests of this folder share."""

from collections.abc import Iterator

import fsspec
import pytest

from tests.store.clouds import google_server, s3_bucket


@pytest.fixture(scope="package")
def s3() -> Iterator[str]:
    """An S3 bucket."""
    with s3_bucket() as url:
        yield url


@pytest.fixture(scope="package")
def gs() -> Iterator[str]:
    """A bucket of Google Cloud Storage."""
    with google_server():
        fsspec.get_filesystem_class("gs").clear_instance_cache()
        yield "gs://models"
