"""Owns what must be true of a release's pods: their probes, their ends, their places, what they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scripts.chart.pods import lasting, selects
from scripts.cluster.kind import ZONE_LABEL
from scripts.cluster.objects import (
    UNASKED,
    Object,
    container_statuses,
    containers_of,
    event_time,
    never_began,
    open_ports,
)
from scripts.core.errors import ApiError
from scripts.e2e.lab import Lab
from scripts.e2e.promises import demand, takes
from scripts.rollout.cause import first_line
from scripts.rollout.diagnose import container_of, ended_for

# One that gets an answer, and not a good one, has its container restarted, however much later that is.
_DENIED = re.compile(r"(?s)Liveness probe failed: (?!.*(?:time|deadline|refused|reset|EOF|no route))")
_HARMS = ("FailedPreStopHook", "Evicted", "Preempted")  # the last two are no drain: the node is short of something
_TELLING = {
    "readinessProbe": "when it is ready",
    "startupProbe": "when it has begun",
    "livenessProbe": "when it hangs",
}
# What is mounted there takes something away from the image: its programs, its certificate authorities.
_IMAGES_OWN = frozenset({"/", "/bin/", "/etc/", "/etc/ssl/", "/etc/ssl/certs/", "/lib/", "/sbin/", "/usr/"})
_WAYS = ("httpGet", "tcpSocket", "grpc")  # in which a probe asks on a port
_HASH = "pod-template-hash"
_HANGS = 300  # seconds for which no probe need notice that a container hangs
_BUSY = 10  # seconds for which one that is only busy must be left alone


def restarts(pods: Iterable[Object], events: Iterable[Object], *, careful: bool = False) -> list[str]:
    """The containers that were restarted, or that a probe, a hook of theirs or the node ended, as far as can be seen.

    One that is killed is restarted only after its preStop, and its pod may be gone by then. Of a `careful` chart those
    too that a probe of liveness is against.
    """
    signs = (UNASKED, _DENIED) if careful else (UNASKED,)
    lines, told = [], set[tuple[str, str]]()
    by_pod: dict[str, list[Object]] = {}
    for event in sorted(events, key=event_time):
        by_pod.setdefault(event.get("involvedObject", {}).get("uid", ""), []).append(event)
    for pod in pods:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        own = by_pod.get(uid, [])
        changed = any("definition changed" in event.get("message", "") for event in own)  # of a pod of its own
        for status in container_statuses(pod):
            if (count := status.get("restartCount", 0)) and not changed and not _begun_late(status):
                ended = status.get("lastState", {}).get("terminated", {})
                killed = ended_for(own, status["name"])
                why = [str(event.get("message")) for event in own if event["type"] == "Warning"]
                times = "once" if count == 1 else f"{count} times"
                reason = f": it {killed}" if killed else f": {why[-1]}" if why else ""
                told.add((uid, status["name"]))
                what = f"container {status['name']} of pod {name} was restarted {times}"
                lines.append(f"{what}, exit code {ended.get('exitCode')}{reason}")
    for uid, own in by_pod.items():
        name = own[0].get("involvedObject", {}).get("name")
        for container in sorted({container_of(event) for event in own}):
            killed = ended_for(own, container)
            if killed and (uid, container) not in told:
                lines.append(f"container {container} of pod {name} {killed}")
        probed, said = [one for one in own if one.get("reason") == "Unhealthy"], "".join(lines)
        broken = [one for one in own if one.get("reason") in _HARMS]
        broken += [one for one in probed if any(sign.search(one.get("message", "")) for sign in signs)]
        harms = {
            f"{one['reason']}: {text}" for one in broken if (text := first_line(one.get("message", ""))) not in said
        }
        lines += (f"pod {name}: {harm}" for harm in sorted(harms))
    return lines


def _begun_late(status: Object) -> bool:
    """Whether a busy node's runtime could not begin a container, and did when it tried again: nothing of it ended."""
    again = "running" in status.get("state", {}) and status["restartCount"] == 1
    return again and never_began(status.get("lastState", {}).get("terminated", {}))


def restarted(lab: Lab, *namespaces: str) -> list[str]:
    """The `restarts` in namespaces, as these are now."""
    seen = ((lab.pods(space), lab.api.events(space)) for space in namespaces)
    return [one for pods, events in seen for one in restarts(pods, events, careful=lab.subject.careful)]


def stale_mounts(pods: Iterable[Object]) -> str:
    """What of a ConfigMap or Secret stays as it was when the container started, in words, "" for nothing."""
    told: list[str] = []
    for spec in (pod["spec"] for pod in pods):
        drawn = {one["name"] for one in spec.get("volumes", ()) if one.keys() & {"configMap", "secret", "projected"}}
        for container in spec["containers"]:
            mounts = [one for one in container.get("volumeMounts", ()) if one["name"] in drawn and one.get("subPath")]
            what = f"container {container['name']} has"
            told += [f"{what} {mount['mountPath']} by subPath, which no change reaches" for mount in mounts]
    return "; ".join(dict.fromkeys(told))


def probes_answer(lab: Lab, namespace: str, *, kinds: Iterable[str] = _TELLING) -> str:
    """What a probe asks for is there, on a port that is open: it is asked once here, whatever its pace."""
    asked = 0
    for pod in lab.pods(namespace):
        meta = pod["metadata"]
        for container in lasting(pod["spec"]):
            opened = open_ports([pod])
            for kind in kinds:
                probe = container.get(kind, {})
                what = f"the {kind} of container {container['name']} in pod {meta['name']}"
                # Of a host that it names, as one on the node's network may, it does not ask the pod.
                own = {way: probe[way] for way in _WAYS if way in probe and not probe[way].get("host")}
                for port in (ask["port"] for ask in own.values()):
                    there = port in opened or takes(lab, [pod], port)
                    demand(there, f"{what} asks on port {port}, which is not open", ", ".join(map(str, opened)))
                if get := own.get("httpGet"):
                    said = _answered(lab, pod, get, opened.get(get["port"], get["port"]))
                    why = "\n".join((*restarted(lab, namespace), said)) if said else ""  # it may be on its way out
                    demand(not why, f"{what} gets no answer from {get.get('path', '/')}", found=why, timely=True)
                asked += bool(probe)
    return f"{asked} probes"


def _answered(lab: Lab, pod: Object, get: Mapping[str, Any], port: Any) -> str:
    """What a pod has against an HTTP probe, "" where that is content with its answer, as with being sent elsewhere."""
    path, scheme = get.get("path", "/"), get.get("scheme", "HTTP").lower()
    if given := get.get("httpHeaders"):  # by way of the API server not all of them would come there
        headers = [(one["name"], one.get("value") or "") for one in given]
        status = lab.ask_past_server(pod, port=port, path=path, scheme=scheme, headers=headers)
        return "" if 200 <= status < 400 else f"status {status}" if status else "no answer"
    try:
        lab.api.ask_pod(pod["metadata"]["name"], pod["metadata"]["namespace"], port=port, path=path, scheme=scheme)
    except ApiError as error:
        return "" if 300 <= error.status < 400 else error.text
    return ""


def needs_are_said(pods: Iterable[Object]) -> str:
    """Every container says what it asks for, what it may take of memory and, where it opens a port, how it is.

    And it writes nothing into its image, which a node without it may pull.
    """
    count = 0
    for pod in pods:
        for container in containers_of(pod):
            what = f"container {container['name']} of pod {pod['metadata']['name']}"
            resources = container.get("resources", {})
            lacking = [
                f"{side}.{name}"
                for side, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
                if name not in resources.get(side, {})
            ]
            demand(not lacking, f"{what} does not say what it needs", found=f"no {', '.join(lacking)}")
            pulled = container.get("imagePullPolicy") != "Never"
            demand(pulled, f"{what} runs only where its image is already", "a policy that pulls", "Never")
            fixed = container.get("securityContext", {}).get("readOnlyRootFilesystem") is True
            demand(fixed, f"{what} can write into its image", "readOnlyRootFilesystem: true")
            mounts = [one["mountPath"] for one in container.get("volumeMounts", ())]
            over = [mount for mount in mounts if f"{mount.rstrip('/')}/" in _IMAGES_OWN]
            demand(not over, f"{what} hides what its image has in {', '.join(over)}", "a directory of its own")
            for kind, told in _TELLING.items() if container.get("ports") else ():
                demand(kind in container, f"{what} does not say {told}", f"a {kind}")
            for kind, probe in ((kind, container[kind]) for kind in _TELLING if kind in container):
                # The next one is asked once this one was given up.
                pace = max(probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1))
                hangs, late = probe.get("failureThreshold", 3) * pace, probe.get("initialDelaySeconds", 0)
                told = f"a {kind} that tells within {_HANGS} s"
                demand(late + hangs <= _HANGS, f"{what} may hang for {late + hangs} s", told)
                hasty = kind == "livenessProbe" and hangs < _BUSY
                demand(not hasty, f"{what} is restarted when it does not answer for {hangs} s", f"at least {_BUSY} s")
            count += 1
    return f"{count} containers"


def spread_is_asked_for(pods: Sequence[Object]) -> None:
    """The pods of a component keep away from each other over the zones, and spread over them, counting themselves."""
    for pod in pods:
        meta, spec = pod["metadata"], pod["spec"]
        apart = spec.get("affinity", {}).get("podAntiAffinity", {})
        terms = [
            *(entry["podAffinityTerm"] for entry in apart.get("preferredDuringSchedulingIgnoredDuringExecution", ())),
            *apart.get("requiredDuringSchedulingIgnoredDuringExecution", ()),
        ]
        for what, asked in (("anti-affinity", terms), ("a spread", spec.get("topologySpreadConstraints", ()))):
            over = [term for term in asked if term["topologyKey"] == ZONE_LABEL]
            demand(bool(over), f"pod {meta['name']} does not ask for {what} over the zones", ZONE_LABEL)
            own = [term for term in over if selects(term.get("labelSelector"), meta["labels"])]
            told = f"pod {meta['name']} asks for {what} over the zones of other pods than its own"
            demand(bool(own), told, found=str(over))
            mixed = what == "a spread" and _HASH in meta["labels"] and not any(_HASH in _keys(term) for term in own)
            told = f"pod {meta['name']} asks for a spread that counts the pods of the revision before"
            demand(not mixed, told, f"matchLabelKeys: [{_HASH}], or a rollout leaves it uneven")
            skew, most = min(term.get("maxSkew", 1) for term in own), max(1, len(pods) - 1)
            told = f"pod {meta['name']} asks for {what} that lets all {len(pods)} pods be in one zone"
            demand(skew <= most, told, f"maxSkew: {most} at most", str(skew))


def _keys(term: Mapping[str, Any]) -> Iterable[str]:
    """The labels by which a spread tells pods apart, beside what it selects."""
    return (*term.get("matchLabelKeys", ()), *(term.get("labelSelector", {}).get("matchLabels") or ()))


def placed(pods: Sequence[Object], wanted: Mapping[str, Any]) -> None:
    """The pods carry the placement that the values ask for."""
    for pod in pods:
        for key, value in wanted.items():
            found, what = pod["spec"].get(key), f"pod {pod['metadata']['name']} ignores {key} of the values"
            demand(_within(value, found), what, str(value), str(found))


def _within(wanted: Any, found: Any) -> bool:
    """Whether all that is `wanted` is in what was `found`."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(any(_within(item, other) for other in found) for item in wanted)
    return bool(wanted == found)
