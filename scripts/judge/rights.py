"""Judges RBAC by what an account may do, whichever roles and bindings say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from scripts.chart.manifests import Document, Manifests, mapping, mappings
from scripts.chart.pods import lasting, pod_spec, selects
from scripts.judge.reason import Level, Reason

GROUP = "rbac.authorization.k8s.io"
ROLES = ("Role", "ClusterRole")
BINDINGS = ("RoleBinding", "ClusterRoleBinding")


class Right(NamedTuple):
    """A verb on a resource; "*" stands for all, also of a part, as in "*/scale". `scope` is a namespace, "" for the
    whole cluster."""

    scope: str
    group: str
    resource: str
    name: str
    verb: str

    def __str__(self) -> str:
        group = f".{self.group}" if self.group and self.group != "*" else ""
        name = f"/{self.name}" if self.name != "*" else ""
        return f"{self.verb} {self.resource}{group}{name}" + (f" ({self.scope})" if self.scope else " (cluster)")

    def within(self, other: Right) -> bool:
        """Whether who has `other` has this one."""
        return other.scope in ("", self.scope) and all(
            fnmatchcase(mine, theirs) for mine, theirs in zip(self[1:], other[1:], strict=True)
        )


Subject = tuple[str, str, str]
_GATHERING = ("view", "edit", "admin")  # each of these roles of a cluster holds what the ones before it hold
_GATHERED = re.compile(r"rbac\.authorization\.k8s\.io/aggregate-to-(.+)")
TOKEN = "automountServiceAccountToken"  # noqa: S105 - a field of accounts and of pods


def judge_rights(old: Manifests, new: Manifests, namespace: str) -> Iterator[Reason]:
    """What accounts and holders of roles may do no longer, and what they may do now. `namespace` is the release's."""
    before, after = _Grants(old, namespace), _Grants(new, namespace)
    for subject in sorted({*before.rights, *after.rights}):
        kind, where, name = subject
        was, now = (side.told(subject) for side in (before, after))
        own = subject in before.own
        if kind == "ServiceAccount" and own is not (subject in after.own) and not (now if own else was):
            continue  # an account that came or went, told as an object
        about = f"{kind}/{name}" + (f" ({where})" if where not in ("", namespace) else "") + " rights"
        lost, gained = _beyond(was, after.held(subject)), _beyond(now, before.held(subject))
        if lost:
            level: Level = "minor" if own else "major"
            whom = "what ran under this account beside the chart" if own else "who relies on it"
            meaning = f"may do less: {whom} is refused"
            if own and not now and not before.images.get(subject, set()).isdisjoint(after.images.get(subject, ())):
                level, meaning = "major", "may do nothing any more: its pods, of the same image as before, are refused"
            yield Reason(level, about, _told(lost), _told(gained), meaning)
        if gained and was:
            meaning = "may do more; who upgrades must hold these rights to grant them"
            yield Reason("minor", about, _told(lost), _told(gained), meaning)
        elif gained:
            yield Reason("minor", about, None, _told(gained), "is granted rights")


def _told(rights: Iterable[Right]) -> str | None:
    return ", ".join(map(str, rights)) or None


def _beyond(ours: Iterable[Right], theirs: Iterable[Right]) -> list[Right]:
    """Those of `ours` that `theirs` do not cover."""
    held = tuple(theirs)
    return [right for right in dict.fromkeys(ours) if not any(right.within(other) for other in held)]


class _Grants:
    """Who may do what after one render. A role that nobody is bound to, and that is gathered into no other, counts for
    itself: others bind to it."""

    def __init__(self, manifests: Manifests, namespace: str) -> None:
        self.rights: dict[Subject, list[Right]] = {}
        self.roles: dict[Subject, list[Right]] = {}
        self.own: set[Subject] = set()
        self.images: dict[Subject, set[str]] = {}
        """What runs under an account, with a token to ask the API server by."""
        roles: dict[Subject, Document] = {}
        tokens = {(one.namespace, one.name): one.data.get(TOKEN, True) for one in manifests.all("ServiceAccount")}
        for document in manifests:
            where = document.namespace or namespace
            if document.kind == "ServiceAccount":
                self.own.add(("ServiceAccount", where, document.name))
            pod = pod_spec(document.kind, document.data)
            if isinstance(pod, Mapping):
                account = str(pod.get("serviceAccountName") or "default")
                subject = ("ServiceAccount", where, account)
                self.own.add(subject)
                if pod.get(TOKEN, tokens.get((document.namespace, account), True)):
                    images = {str(one.get("image")) for one in lasting(pod)}
                    self.images.setdefault(subject, set()).update(images)
            if document.kind in ROLES:
                roles[document.kind, where if document.kind == "Role" else "", document.name] = document
        bound: set[Subject] = set()
        for document in manifests:
            if document.kind in BINDINGS:
                self._bind(document, roles, bound, namespace)
        gathered = [part for role in roles.values() for part in _parts(role, roles)]
        for key, role in roles.items():
            rights = self.roles[key] = list(_granted(role, roles, key[1]))
            if names := gathering(role):
                lowest = [name for name in _GATHERING if name in names][:1]
                for name in (*lowest, *(name for name in names if name not in _GATHERING)):
                    self.rights.setdefault(("ClusterRole", "", name), []).extend(rights)
            elif key not in bound and role not in gathered:
                self.rights[key] = rights

    def told(self, subject: Subject) -> list[Right]:
        """What is granted to one by name."""
        return self.rights.get(subject, self.roles.get(subject, []))

    def held(self, subject: Subject) -> list[Right]:
        """The same, with what it has beside."""
        kind, where, name = subject
        whole = kind == "ClusterRole" and name in _GATHERING
        names = _GATHERING[: _GATHERING.index(name) + 1] if whole else (name,)
        return [right for one in names for right in self.told((kind, where, one))]

    def _bind(self, binding: Document, roles: Mapping[Subject, Document], bound: set[Subject], namespace: str) -> None:
        ref = binding.data.get("roleRef") or {}
        scope = (binding.namespace or namespace) if binding.kind == "RoleBinding" else ""
        kind, name = str(ref.get("kind")), str(ref.get("name"))
        key = (kind, scope if kind == "Role" else "", name)
        if key in roles:
            bound.add(key)
            rights = list(_granted(roles[key], roles, scope))
        elif name == "cluster-admin":
            rights = [Right(scope, "*", "*", "*", "*")]
        else:
            rights = [Right(scope, "", f"{kind}/{name}", "*", "what it grants:")]
        for subject in binding.data.get("subjects") or ():
            if isinstance(subject, Mapping):
                account = subject.get("kind") == "ServiceAccount"
                where = str(subject.get("namespace") or namespace) if account else ""
                self.rights.setdefault((str(subject.get("kind")), where, str(subject.get("name"))), []).extend(rights)


def gathering(role: Document) -> list[str]:
    """The roles of the cluster that a role is gathered into."""
    found = ((_GATHERED.fullmatch(str(key)), value) for key, value in role.labels.items())
    return [key[1] for key, value in found if key and value == "true" and role.kind == "ClusterRole"]


def _parts(role: Document, roles: Mapping[Subject, Document]) -> list[Document]:
    """The roles of the chart that a role is gathered from."""
    selectors = mappings(mapping(role.data.get("aggregationRule")).get("clusterRoleSelectors"))
    known = roles.values() if selectors else ()
    return [one for one in known if one.kind == "ClusterRole" and any(selects(it, one.labels) for it in selectors)]


def _granted(role: Document, roles: Mapping[Subject, Document], scope: str) -> Iterator[Right]:
    for one in _parts(role, roles) if role.data.get("aggregationRule") else (role,):
        yield from _rules(one, scope)


def _rules(role: Document, scope: str) -> Iterator[Right]:
    for rule in role.data.get("rules") or ():
        if not isinstance(rule, Mapping):
            continue
        for verb in rule.get("verbs") or ():
            for url in rule.get("nonResourceURLs") or ():
                yield Right("", "", str(url), "*", str(verb))
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    for name in rule.get("resourceNames") or ("*",):
                        yield Right(scope, str(group), str(resource), str(name), str(verb))


def governs(document: Document) -> bool:
    """Whether an object is judged here, apart from its labels and its being immutable."""
    return document.kind in (*ROLES, *BINDINGS) and document.api_version.startswith(GROUP)


JUDGED = ("rules", "subjects", "roleRef", 'metadata.labels["rbac.authorization.k8s.io/aggregate-to-')
"""What the fields of such an object that are judged here begin with."""
