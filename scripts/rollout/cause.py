"""Owns causes in words: one line that says why, and what helm and the API server say when they refuse something."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

_NO_SUCH_KIND = re.compile(r'no matches for kind "([^"]+)" in version "([^"]+)"')
_EXISTS = re.compile(r'(\w+) "([^"]+)" in namespace "[^"]*" exists and cannot be imported.*?: (.*)', re.DOTALL)
_APPLYING = re.compile(  # on the server, and by helm itself, which is all that its 3 can
    r"(?:(?:server-side apply failed for|conflict occurred while applying) object (?:\S*/)?(?P<name>\S+) \S+, Kind="
    r'|cannot patch "(?P<patched>[^"]+)" with kind )(?P<kind>\w+): (?P<why>.*)',
    re.DOTALL,
)
_CONFLICT = re.compile(r"Apply failed with \d+ conflict|object has been modified")
# Of a kind as a whole that is refused to somebody no name is told.
_REFUSED = re.compile(r'([\w.]+) (?:"([^"]*)" is (?:forbidden|invalid): |is forbidden: (?=User ))')
_NEXT = " && "  # what helm writes between two objects that it could not apply


@dataclass(frozen=True)
class Cause:
    """Why a rollout failed.

    `kind` is a word for machines ("image-pull"), `object` what it happened to ("Deployment gati-ingress"), `message`
    the rest of the sentence, `run` the command to run next.
    """

    kind: str
    object: str
    message: str
    run: str = ""

    def __str__(self) -> str:
        return f"{self.object}: {self.message}" if self.object else self.message


def read_refusal(text: str, *, release: str, namespace: str) -> Cause | None:
    """The cause in helm's error text where the API server refused something; None where it says no such thing."""
    text = re.split(r"^Error: ", text.strip(), flags=re.MULTILINE)[-1]
    if found := _NO_SUCH_KIND.search(text):
        kind, version = found.groups()
        named = re.search(r'resource mapping not found for name: "([^"]+)"', text)
        group = version.rpartition("/")[0]
        return Cause(
            "missing-kind",
            f"{kind} {named.group(1)}" if named else kind,
            f"the cluster knows no kind {kind} of {version}: its CustomResourceDefinition is not installed",
            f"kubectl api-resources --api-group={group}" if group else "kubectl api-resources",
        )
    if found := _EXISTS.search(text):
        kind, name, why = found.groups()
        run = f"kubectl --namespace={namespace} get {kind.lower()} {name} --output=yaml"
        return Cause("ownership", f"{kind} {name}", f"exists and belongs to somebody else: {first_line(why)}", run)
    if found := _APPLYING.search(text):
        name, kind, why = found["name"] or found["patched"], found["kind"], found["why"].partition(_NEXT)[0]
        if _CONFLICT.search(why):
            stale = "object has been modified" in why
            taken, owned = "it is not what the chart takes it for", "another field manager owns what the chart sets"
            message = f"{taken if stale else owned}: {_in_a_line(why)}"
            run = f"kubectl --namespace={namespace} get {kind.lower()} {name} --show-managed-fields --output=yaml"
            return Cause("conflict", f"{kind} {name}", message, run)
        return refusal(why, f"{kind} {name}", namespace)
    if found := _REFUSED.search(text):
        label = f"{_singular(found.group(1))} {found.group(2) or ''}".strip()
        return refusal(text[found.start() :].partition(_NEXT)[0], label, namespace)
    if "denied the request:" in text:
        return refusal(text, f"Release {release}", namespace)
    return None


def refusal(message: str, label: str, namespace: str) -> Cause:
    """The cause in the message with which the server refuses an object, or the pods of `label`."""
    kubectl = f"kubectl --namespace={namespace}"
    named = _REFUSED.search(message)
    said = message[named.end() :] if named else message
    why = first_line(said)
    why = _in_a_line(said) if why.endswith(":") else why  # what follows are the reasons
    if found := re.match(r"(exceeded|failed) quota: ([^,:\s]+)[,:] (.*)", why):
        how = "is exceeded" if found.group(1) == "exceeded" else "is not met"
        text = f"quota {found.group(2)} {how}: {found.group(3)}"
        return Cause("quota", label, text, f"{kubectl} describe quota")
    if found := re.match(r'violates PodSecurity "([^"]+)": (.*)', why):
        run = f"kubectl get namespace {namespace} --show-labels"
        return Cause("admission", label, f"Pod Security {found.group(1)} refuses it: {found.group(2)}", run)
    if found := re.search(r'admission webhook "([^"]+)" denied the request:(.*)', message, re.DOTALL):
        run = "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"
        said = _in_a_line(found.group(2))  # policy engines begin with an empty one
        return Cause("admission", label, f"admission webhook {found.group(1)} refuses it: {said}", run)
    if why.startswith("User "):
        return Cause("admission", label, f"{why[0].lower()}{why[1:]}", f"{kubectl} auth can-i --list")
    return Cause("admission", label, f"the API server refuses it: {why}", f"{kubectl} get events")


def _in_a_line(text: str) -> str:
    return textwrap.shorten(text, 400, placeholder=" ...")


def first_line(text: str) -> str:
    """The first line that says something, "" where none does."""
    return next((line.strip() for line in text.strip().splitlines() if line.strip()), "")


def _singular(plural: str) -> str:
    """ "Pod" for "pods", as far as the plural tells; a kind stays as it is."""
    word = plural.partition(".")[0]
    return word.removesuffix("s").capitalize() if word.islower() else word
