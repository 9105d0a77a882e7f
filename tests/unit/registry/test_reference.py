"""A reference on the command line: what it must name, and what it must not hold."""

from __future__ import annotations

import contextlib

import pytest

from scripts.core.errors import ConfigError
from scripts.registry.reference import Registry, parse_reference


def test_a_reference_with_a_digest_holds_no_login() -> None:
    digest = "sha256:" + "0" * 64
    assert parse_reference(f"oci://host:5000/a/b:1.2.3_4@{digest}") == ("oci://host:5000/a", "b", "1.2.3+4", digest)


@pytest.mark.parametrize(
    "text", ["oci://me:hunter2@host/a/b:1.2.3", "oci://me:hun/hunter2@host/b:1.2.3", "oci://me:hunter2%40host/b:1.2.3"]
)
def test_a_login_in_a_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="holds a login") as caught:
        parse_reference(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("prefix", "reference"),
    [
        ("oci://host", "oci://host/demo:1.0.0"),
        ("oci://host//a///b/", "oci://host/a/b/demo:1.0.0"),
        ("OCI://host:5000/a", "oci://host:5000/a/demo:1.0.0"),
        ("oci://my_registry:5000/a", "oci://my_registry:5000/a/demo:1.0.0"),
        ("oci://[::1]:5000", "oci://[::1]:5000/demo:1.0.0"),
        *(
            (wrong, "")
            for wrong in ("oci://", "oci:///a", "oci:/host/a", "oci://host/A", "oci://host/a b", "oci://h:x/a")
        ),
        *(
            (wrong, "")
            for wrong in ("oci://host:70000/a", "host/a", "oci://host/a:1", "oci://host/a..b", "https://host/a")
        ),
    ],
)
def test_names_are_those_that_helm_takes(prefix: str, reference: str) -> None:
    with pytest.raises(ConfigError, match="is no registry") if not reference else contextlib.nullcontext():
        assert str(Registry(prefix).reference("demo", "1.0.0")) == reference
