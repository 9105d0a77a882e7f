"""Says what becomes of a target or a series by rules of Prometheus, as far as it is known how that is labelled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.cluster.objects import Object, labels_of

Labels = dict[str, str]
# Of pods and Services all is known: what they are not labelled with is empty.
_KNOWN = re.compile(r"__meta_kubernetes_(?:pod|service)_(?:label|annotation)")
_GROUP = re.compile(r"\$(?:\{(\w+)\}|(\d+))")


def target_of(pod: Object, port: Any, endpoint: Mapping[str, Any], service: Object | None) -> Labels:
    """How a pod is labelled as a target of the `endpoint` of a monitor, before the monitor's own rules."""
    meta, address = pod["metadata"], pod.get("status", {}).get("podIP", "")
    names = {"namespace": meta.get("namespace", ""), "pod": meta["name"], "endpoint": str(endpoint.get("port") or port)}
    found = {
        "__address__": f"{address}:{port}",
        "__scheme__": endpoint.get("scheme") or "http",
        "__metrics_path__": endpoint.get("path") or "/metrics",
        "__meta_kubernetes_namespace": names["namespace"],
        "__meta_kubernetes_pod_name": names["pod"],
        "__meta_kubernetes_pod_ip": address,
        "__meta_kubernetes_pod_node_name": pod["spec"].get("nodeName", ""),
        **names,
    }
    if service is not None:
        name = service["metadata"]["name"]
        found |= {"__meta_kubernetes_service_name": name, "service": name}
        if "port" in endpoint:
            found["__meta_kubernetes_endpoint_port_name"] = names["endpoint"]
    for what, item in (("pod", pod), ("service", service or {"metadata": {}})):
        notes = item["metadata"].get("annotations") or {}
        for part, given in (("label", labels_of(item)), ("annotation", notes)):
            for key, value in given.items():
                place = re.sub(r"\W", "_", key)
                found[f"__meta_kubernetes_{what}_{part}_{place}"] = value
                found[f"__meta_kubernetes_{what}_{part}present_{place}"] = "true"
    return found


def relabelled(labels: Mapping[str, str], rules: Iterable[Mapping[str, Any]]) -> Labels | None:
    """The labels after `rules`, None where they drop what has them. Left out are rules about what is not known."""
    found = dict(labels)
    for rule in rules:
        action, target = str(rule.get("action") or "replace").lower(), str(rule.get("targetLabel") or "")
        sources = rule.get("sourceLabels") or ()
        try:
            fits = re.compile(rule.get("regex") or "(.*)", re.DOTALL).fullmatch
        except re.error:  # Go's syntax is wider
            continue
        into = str(rule.get("replacement", "$1"))
        if action == "labelmap":
            found |= {_expanded(into, match): value for name, value in labels.items() if (match := fits(name))}
        if not all(name in found or _KNOWN.match(name) for name in sources):
            continue
        value = str(rule.get("separator", ";")).join(found.get(name, "") for name in sources)
        match = fits(value)
        if action in ("keep", "drop") and bool(match) is (action == "drop"):
            return None
        if action in ("keepequal", "dropequal") and (value == found.get(target)) is (action == "dropequal"):
            return None
        if action == "replace" and match and target:
            found[target] = _expanded(into, match)
    return found


def _expanded(text: str, match: re.Match[str]) -> str:
    """A replacement with what its groups matched, as Go writes it; a group that is not there is empty."""
    groups = dict(enumerate(map(str, match.groups("")), 1)) | match.groupdict("")
    told = {"0": match.group(), **{str(name): value for name, value in groups.items()}}
    return _GROUP.sub(lambda one: told.get(one[1] or one[2], ""), text)
