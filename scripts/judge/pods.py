"""Owns which Pod Security standard a pod meets: a namespace that enforces one refuses what does not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.chart.manifests import mapping, mappings

_VOLUMES = frozenset({"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"})
_VOLUMES |= {"projected", "secret", "image"}
_CAPABILITIES = frozenset({"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"})
_CAPABILITIES |= {"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
_SYSCTLS = re.compile(
    r"kernel\.shm_rmid_forced|net\.ipv4\.(ping_group_range|ip_(local_port_range|local_reserved_ports|"
    r"unprivileged_port_start)|tcp_(syncookies|fin_timeout|keepalive_(time|intvl|probes)|[rw]mem))"
)
_SELINUX = (None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
STANDARDS = ("privileged", "baseline", "restricted")


def standard(spec: Mapping[str, Any]) -> str:
    """The strictest standard that a pod spec meets.

    By https://kubernetes.io/docs/concepts/security/pod-security-standards/.
    """
    if any(_beyond_baseline(spec)):
        return "privileged"
    return "baseline" if any(_beyond_restricted(spec)) else "restricted"


def _containers(spec: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for key in ("initContainers", "containers"):
        for one in mappings(spec.get(key)):
            yield one, mapping(one.get("securityContext"))


def _beyond_baseline(spec: Mapping[str, Any]) -> Iterator[bool]:
    yield from (bool(spec.get(key)) for key in ("hostNetwork", "hostPID", "hostIPC"))
    yield any("hostPath" in mapping(volume) for volume in spec.get("volumes") or ())
    for container, context in _containers(spec):
        yield bool(context.get("privileged"))
        yield any(mapping(port).get("hostPort") for port in container.get("ports") or ())
        yield bool(set(mapping(context.get("capabilities")).get("add") or ()) - _CAPABILITIES)
        yield context.get("procMount") not in (None, "Default")
    for context in (mapping(spec.get("securityContext")), *(context for _, context in _containers(spec))):
        yield any(
            mapping(context.get(key)).get("type") == "Unconfined" for key in ("seccompProfile", "appArmorProfile")
        )
        labelled = mapping(context.get("seLinuxOptions"))
        yield bool(labelled.get("user") or labelled.get("role")) or labelled.get("type") not in _SELINUX
        yield bool(mapping(context.get("windowsOptions")).get("hostProcess"))
        yield any(not _SYSCTLS.fullmatch(str(mapping(one).get("name"))) for one in context.get("sysctls") or ())


def _beyond_restricted(spec: Mapping[str, Any]) -> Iterator[bool]:
    pod = mapping(spec.get("securityContext"))
    for volume in spec.get("volumes") or ():
        yield bool(set(mapping(volume)) - {"name"} - _VOLUMES)
    yield pod.get("runAsUser") == 0
    for _, context in _containers(spec):
        yield context.get("allowPrivilegeEscalation") is not False
        yield context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True
        yield context.get("runAsUser") == 0
        profile = mapping(context.get("seccompProfile") or pod.get("seccompProfile")).get("type")
        yield profile not in ("RuntimeDefault", "Localhost")
        capabilities = mapping(context.get("capabilities"))
        yield "ALL" not in (capabilities.get("drop") or ())
        yield bool(set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"})
