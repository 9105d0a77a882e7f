"""The ingress' environment: what the ConfigMap holds, how it arrives, and that a change rolls the pods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import INGRESS, config, ingress_config
from tests.render.harness import Documents, render, render_error


def configured(**data: Any) -> Documents:
    return render({"ingress": {"config": data}})


@pytest.mark.requirement("5.1", "5.4")
def test_the_container_takes_it_as_environment() -> None:
    assert ingress_config(render())["data"]


@pytest.mark.requirement("5.3")
def test_documented_keys_are_set() -> None:
    docs = configured(TIMESCAPE_ADDR="timescape:7000", FEATURE_PLAYGROUND=True)
    assert config("TIMESCAPE_ADDR")(docs) == "timescape:7000"
    assert config("FEATURE_PLAYGROUND")(docs) == "true"


@pytest.mark.requirement("5.2")
def test_route_manager_address_can_be_given() -> None:
    assert config("ROUTE_MANAGER_ADDR")(configured(ROUTE_MANAGER_ADDR="elsewhere:1")) == "elsewhere:1"


@pytest.mark.trap("large-integer")
@pytest.mark.requirement("5.5")
@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        (1048576, "1048576"),
        (2**53 - 1, "9007199254740991"),
        (-1000000, "-1000000"),
        (0, "0"),
        ("0.10", "0.10"),
        (True, "true"),
        (False, "false"),
        ("", ""),
        ("text", "text"),
        ("007", "007"),
        ("1e3", "1e3"),
        ("yes", "yes"),
        ("null", "null"),
        ("18446744073709551616", "18446744073709551616"),
        (" spaces  and: colon # hash", " spaces  and: colon # hash"),
        ('quote " and \\ and {{ braces }}', 'quote " and \\ and {{ braces }}'),
        ("two\nlines\n", "two\nlines\n"),
        ("ключ", "ключ"),
    ],
)
def test_any_key_arrives_as_the_string_written(given: Any, arrives: str) -> None:
    assert config("SOME_KEY")(configured(SOME_KEY=given)) == arrives


@pytest.mark.requirement("5.5")
@pytest.mark.parametrize("key", ["A", "lower.case", "WITH-DASH", "_UNDER"])
def test_other_keys_keep_the_documented_ones(key: str) -> None:
    data = ingress_config(configured(**{key: "v"}))["data"]
    assert data[key] == "v"
    assert {"ROUTE_MANAGER_ADDR", "TIMESCAPE_ADDR", "FEATURE_PLAYGROUND"} <= set(data)


@pytest.mark.requirement("5.5")
@pytest.mark.parametrize("value", [{"a": 1}, [1, 2]])
def test_a_value_that_is_no_scalar_is_refused(value: Any) -> None:
    assert "SOME_KEY" in render_error({"ingress": {"config": {"SOME_KEY": value}}})


def pod_annotations(docs: Documents) -> dict[str, str]:
    template = docs.one("Deployment", INGRESS)["spec"]["template"]
    return dict(template["metadata"].get("annotations", {}))


@pytest.mark.requirement("5.4")
def test_a_change_of_it_rolls_the_pods_and_nothing_else_does() -> None:
    before, after = pod_annotations(render()), pod_annotations(configured(SOME_KEY="new"))
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert len(changed) == 1
    assert changed.pop().startswith("checksum/")
    assert pod_annotations(render({"revisionHistoryLimit": 3})) == before


@pytest.mark.requirement("5.4")
def test_a_new_chart_version_alone_rolls_nothing() -> None:
    labels = render().one("Deployment", INGRESS)["spec"]["template"]["metadata"]["labels"]
    assert "helm.sh/chart" not in labels
