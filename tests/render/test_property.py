"""Whatever values.schema.json accepts renders to objects that a cluster accepts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, example, given, reject

from scripts.core.errors import CommandFailed
from tests.render.everything import merged
from tests.render.harness import KUBERNETES, render_text
from tests.render.schema_values import ACCEPTING, DEFAULTS, values
from tests.render.valid import findings

# The chart's refusals of what no schema can say (one key against another) come from this file alone.
REFUSAL = "gati/templates/validate.yaml"


@pytest.mark.timeout(3600)  # the thorough profile renders thousands of times
@pytest.mark.parametrize("version", KUBERNETES[:: len(KUBERNETES) - 1])
@given(values())
@example({"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}})
@example({"commonAnnotations": {"0": "\xa0"}})  # which sprig takes for a blank, and YAML does not
def test_accepted_values_render_and_validate(version: str, drawn: dict[str, Any]) -> None:
    ACCEPTING.validate(merged(DEFAULTS, drawn))
    try:
        text = render_text(drawn, kube_version=version, namespace="ops")
    except CommandFailed as failed:
        if REFUSAL not in failed.stderr:
            raise
        event("refused by name")
        reject()
    (found,) = findings([text], version)
    assert not found
