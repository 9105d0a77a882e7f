"""A reference on the command line: what it must name, and what it must not hold."""

from __future__ import annotations

import pytest

from scripts.core.errors import ConfigError
from scripts.registry.reference import parse_published


def test_a_reference_with_a_digest_holds_no_login() -> None:
    digest = "sha256:" + "0" * 64
    assert parse_published(f"oci://host:5000/a/b:1.2.3_4@{digest}") == ("oci://host:5000/a", "b", "1.2.3+4", digest)
    assert parse_published("OCI://host/b:1.2.3") == ("oci://host", "b", "1.2.3", None)  # as helm takes it
    with pytest.raises(ConfigError, match="names no chart"):
        parse_published(f"oci://host:5000/a/b@{'0' * 64}")


@pytest.mark.parametrize(
    "text", ["oci://me:hunter2@host/a/b:1.2.3", "oci://me:hun/hunter2@host/b:1.2.3", "oci://me:hunter2%40host/b:1.2.3"]
)
def test_a_login_in_a_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="holds a login") as caught:
        parse_published(text)
    assert "hunter2" not in str(caught.value)
