"""What is kept of a failed rollout: no content of a Secret in any form."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import yaml

from scripts.cluster.api import Api
from scripts.rollout.evidence import collect, describe, event_line, last_line, redaction

KEY = "-----BEGIN KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n-----END KEY-----\n"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_secrets_value_is_replaced_plain_encoded_and_line_by_line() -> None:
    redact = redaction([encoded("hunter22"), encoded(KEY)])
    assert redact('login with "hunter22" failed') == 'login with "***" failed'
    assert redact(f"data: {encoded('hunter22')}") == "data: ***"
    assert redaction([encoded('a"b/c d')])('{"url": "u:a%22b%2Fc+d@h", "is": "a\\"b/c d"}').count("***") == 2
    assert "MIIB" not in redact("read MIIBOgIBAAJBAKj34GkxFhD9 from the file")
    assert KEY.strip() not in redact(f"whole: {KEY}")


def test_a_value_inside_of_a_longer_word_is_not_it() -> None:
    assert redaction([encoded("gati")])("gatiway and gati") == "gatiway and ***"


def test_values_too_short_to_be_secret_leave_the_text_readable() -> None:
    assert redaction([encoded("1"), encoded("")])("exit code 1") == "exit code 1"


def test_no_secrets_no_change() -> None:
    assert redaction([])("text") == "text"


def test_a_description_hides_a_secrets_data_and_telling_variables() -> None:
    metadata = {"name": "x", "namespace": "n", "managedFields": [{}]}
    hidden = describe({"kind": "Secret", "metadata": metadata, "data": {"password": "b25l"}}, [])
    assert "b25l" not in hidden
    assert "managedFields" not in hidden
    env = [{"name": "DB_PASSWORD", "value": "open sesame"}, {"name": "LEVEL", "value": "debug"}]
    shown = describe({"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"env": env}]}}, [])
    assert "open sesame" not in shown
    assert "debug" in shown


def test_what_two_namespaces_name_alike_is_kept_of_both(tmp_path: Path) -> None:
    meta = [{"name": "db-0", "namespace": name, "uid": name} for name in ("here", "there")]
    pods: list[Any] = [{"kind": "Pod", "metadata": one, "spec": {"containers": [{"name": "a"}]}} for one in meta]
    api = cast(Api, SimpleNamespace(logs=lambda _, namespace, **__: namespace))
    kept = {("there/db-0", "a"): "there"}
    collect(api, tmp_path, "here", objects=pods, events=(), kept_logs=kept, redact=str)
    for name, place in (("here", "."), ("there", "there")):
        assert (tmp_path / "logs" / place / "db-0.a.log").read_text() == name
        assert f"namespace: {name}" in (tmp_path / "describe" / place / "Pod-db-0.yaml").read_text()


def test_a_description_ends_with_the_objects_events() -> None:
    event = {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "type": "Warning",
        "reason": "BackOff",
        "message": "Back-off\n  restarting",
        "lastTimestamp": "2026-01-01T00:00:05Z",
        "count": 3,
        "involvedObject": {"kind": "Pod", "name": "x"},
    }
    line = "2026-01-01T00:00:05Z  Warning  BackOff  Pod/x  x3  Back-off restarting"
    assert event_line(event) == line
    text = describe({"kind": "Pod", "metadata": {"name": "x"}}, [event])
    assert yaml.safe_load(text)["events"] == [line]


def test_the_last_line_that_says_something() -> None:
    assert last_line("first\nlast words\n\n  \n") == "last words"
    assert last_line(None) == ""
    assert len(last_line("x" * 500)) == 160


def test_the_last_line_that_tells_of_trouble() -> None:
    assert last_line("db: connection refused\nGET /healthz 503\n", troubled=True) == "db: connection refused"
    assert last_line("GET /healthz 503\n", troubled=True) == ""
