"""Whatever values.schema.json accepts renders to objects that a cluster accepts."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, event, given, reject, settings

from scripts.errors import CommandFailed
from tests.render.everything import merged
from tests.render.harness import KUBERNETES, render_text
from tests.render.schema_values import DEFAULTS, SCHEMA, values
from tests.render.valid import findings

# The chart's refusals of what no schema can say (one key against another) come from this file alone.
REFUSAL = "gati/templates/validate.yaml"
PHASES = [Phase.explicit, Phase.generate, Phase.shrink]  # explaining takes minutes, and says little here
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@settings(max_examples=60, deadline=None, derandomize=True, phases=PHASES, suppress_health_check=SLOW)
@pytest.mark.parametrize("version", KUBERNETES[:: len(KUBERNETES) - 1])
@given(values())
def test_accepted_values_render_and_validate(version: str, drawn: dict[str, Any]) -> None:
    jsonschema.validate(merged(DEFAULTS, drawn), SCHEMA)
    try:
        text = render_text(drawn, kube_version=version, namespace="ops")
    except CommandFailed as failed:
        if REFUSAL not in failed.stderr:
            raise
        event("refused by name")
        reject()
    (found,) = findings([text], version)
    assert not found
