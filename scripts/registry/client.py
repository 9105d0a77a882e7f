"""Speaks the OCI distribution API: asks a registry what it holds, and tells "not there" from every kind of failure."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from scripts.chart.manifest_digest import LAYER_TYPE, MANIFEST_TYPE, PROV_TYPE, sha256
from scripts.core import json_read
from scripts.core.errors import FINDING, MALFORMED, SAME_COMMAND, RegistryError
from scripts.core.files import write_atomic
from scripts.core.interrupt import pause
from scripts.core.waiting import patiently
from scripts.registry.challenges import authorize, read_challenges, refused
from scripts.registry.failures import IDENTITY, BrokenTls, Busy, NoTls, Transient
from scripts.registry.reference import CORRECT, DIGEST, Reference, Registry
from scripts.registry.transport import TOO_MANY, Answer, Transport, shown_url, within

T = TypeVar("T")
Query = tuple[tuple[str, str], ...]

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_INDEX_TYPES = (INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFEST_TYPES = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json", *_INDEX_TYPES)
_LAYER_TYPES = (LAYER_TYPE, "application/tar+gzip")  # the second one is of charts pushed by an early helm 3
# Only a registry that answers with one of these says that something is not there. The last are Quay's and Harbor's.
_UNKNOWN_CODES = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "TAG_EXPIRED", "NOT_FOUND"}
_ANY_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")  # what others attach may have another one
_REFERRERS_TAG = "sha256-[0-9a-f]{64}"
_REFERRERS = re.compile(rf"^({_REFERRERS_TAG}(\..+)?|artifacthub\.io)$")
_NEXT_PAGE = re.compile(
    r"""<([^>]*)>\s*;(?:[^,<"]|"(?:[^"\\]|\\.)*")*?\brel\s*=\s*["']?(?:[^"',;]*\s)?next(?![\w-])""", re.IGNORECASE
)  # RFC 8288: a relation may be one of several, and a title may have commas
_UNRELATED = re.compile(r"\s*<([^>]*)>(?!.*\brel\s*=)", re.IGNORECASE)  # says of no page which one it is
_LARGEST_ARCHIVE = 100 << 20  # bytes, more than what helm unpacks
_MOST_LISTED = 50  # manifests in an index
_MOST_REFERRERS = 1000
_MOST_PAGES, _MOST_TAGS, _LISTING = 1000, 100_000, 120.0  # of a list of tags; the last in seconds
LAG = 30.0  # seconds within which a registry serves what was just written to it
_POLL = 0.5  # seconds between two looks
IMMUTABLE = r"(?:(http|code) 4(09|12)|immutab|allow updating)"
"""What is said to who writes a tag again that stays as it is."""
LOST_UPLOAD = "blob[ _]upload[ _](unknown|invalid)"
"""The same to who ends an upload that another of several servers has begun; which is to be begun anew."""
_UPLOADS = 3  # of the same content
# What a refused push says, and what helps; the first that fits, since a quota may be told as something that is denied.
_PUSH_WAYS = (
    (r"name[ _]unknown|repository name not known", "make the repository {repository} first, as {host} wants it"),
    (r"(http|code) 413", "have what stands before {host} let larger bodies through (nginx: client_max_body_size)"),
    (
        r"(http|code) 507|quota|of storage|storage limit|insufficient storage|no space",
        f"make room at {{host}}: a larger quota, or old versions fewer, then {SAME_COMMAND}",
    ),
    (
        r"system is [a-z ]*read.only|(http|code) 405|proxy project",  # Quay and Harbor; a mirror, or who is only read
        f"wait until {{host}} can be written again, then {SAME_COMMAND}; or, where it is a mirror, {CORRECT}",
    ),
    (
        rf"^{_REFERRERS_TAG}: .*{IMMUTABLE}",
        "have {host} let the tags sha256-* be written again, which list what is attached: it has no other list of that",
    ),
    (
        LOST_UPLOAD,
        f"{SAME_COMMAND}; where that does not help, have the servers behind {{host}} share their uploads (one storage, "
        "one http.secret)",
    ),
    (IMMUTABLE, "look who has written to {repository}; a version that is out is raised"),
    (
        "password for basic auth",
        "log in by name and password ({login}): helm reads no challenge but the first, which is basic",
    ),
    (r"(http|code) 40[13]|unauthorized|denied|forbidden", "log in as somebody who may push there: {login}"),
    (r"(http|code) 429|too ?many", TOO_MANY),
    (
        r"unsupported (protocol )?scheme",
        'have {host} name its token service as helm reads it: Bearer realm="https://..."',
    ),
    (r"(http|code) 4\d\d", f"see that {{host}} takes charts there (OCI artifacts), or {CORRECT}"),
)


@dataclass(frozen=True)
class Found:
    """A manifest that a registry holds: its `digest` ("sha256:...") computed from `content`, and its `media_type`."""

    digest: str
    media_type: str
    content: bytes

    def layer(self) -> tuple[str, int]:
        """Digest and size of the chart archive. Raises NoChartError where the manifest is not a chart's."""
        found = self.media_type
        try:
            told = json_read.load(self.content, object_pairs_hook=json_read.once)
            layers = [layer for layer in told["layers"] if layer["mediaType"] in _LAYER_TYPES]
            found += f" with {len(layers)} of them"
            (layer,) = layers
            if DIGEST.fullmatch(layer["digest"]):
                return layer["digest"], int(layer["size"])
            raise ValueError(layer["digest"])
        except MALFORMED:
            raise NoChartError(
                f"{self.digest} is no chart", expected=f"a manifest with one layer {LAYER_TYPE}", found=found
            ) from None

    def listed(self) -> tuple[str, ...]:
        """The digests of the manifests in an index, none where it is no index. Raises NoChartError."""
        if self.media_type not in _INDEX_TYPES:
            return ()
        try:
            told = json_read.load(self.content, object_pairs_hook=json_read.once)
            digests = tuple(dict.fromkeys(str(entry["digest"]) for entry in told["manifests"]))
            if len(digests) <= _MOST_LISTED and all(map(DIGEST.fullmatch, digests)):
                return digests
        except MALFORMED:
            pass
        raise NoChartError(f"{self.digest} is no chart", expected="an index of at most 50 manifests")


class DamagedError(RegistryError):
    """What a registry serves is not what its digest names, or is not there any more."""


class NoChartError(RegistryError):
    """Something else than a chart is there, such as the application's image, which may have the chart's name."""


class ListingError(RegistryError):
    """The registry does not list what it holds to this login, which says nothing about pulling and pushing."""


class Client:
    """One conversation with a registry; made by `connect`. All of its methods raise RegistryError with the cause."""

    def __init__(self, registry: Registry, transport: Transport, *, push: bool = False) -> None:
        self.registry = registry
        self._transport = transport
        self._actions = "pull,push" if push else "pull"
        self._authorization: dict[str, str] = {}
        self._asks_for_tls = registry.may_speak_either
        if self._asks_for_tls:
            self.registry = replace(registry, plain_http=False)
        self._way_out = f"leave out plain_http, if it speaks TLS; or {CORRECT}" if registry.plain_http else CORRECT

    # -- questions -----------------------------------------------------------------------------

    @functools.cached_property
    def _welcome(self) -> Answer | None:
        """What is answered at the API's root, which helm asks at a login alone; None where nothing is."""
        with contextlib.suppress(RegistryError):
            return self._request("GET", "", most=1)
        return None

    def as_spoken(self) -> Registry:
        """The registry, with `plain_http` as it speaks as far as that can be found out."""
        _ = self._asks_for_tls and self._welcome
        return self.registry

    def manifest(self, reference: Reference, *, digest: str | None = None, patience: float = 0) -> Found | None:
        """The manifest of the tag or `digest`, looked for for `patience` seconds; None only if the registry says so."""
        digest = digest or (reference.version if ":" in reference.version else None)
        path = f"{reference.repository}/manifests/{digest or reference.tag}"
        kinds = ", ".join(MANIFEST_TYPES)
        answer = patiently(lambda: self._ask(path, reference.repository, accept=kinds), patience, _POLL)
        if answer is None:
            return None
        kind, told = answer.kind, answer.headers.get("Docker-Content-Digest", "").partition(",")[0]
        try:
            content = json_read.load(answer.body)
        except ValueError:
            content = None
        if kind not in MANIFEST_TYPES or not isinstance(content, dict) or "schemaVersion" not in content:
            raise self._unlike_a_registry(answer) or RegistryError(
                f"{reference}: the answer is not a manifest",
                expected=" or ".join(MANIFEST_TYPES[:1]),
                found=answer.words(),
            )
        for wanted in filter(None, (digest, told)):
            if (own := _digest_like(wanted, answer.body)) != wanted:
                raise DamagedError(
                    f"{reference}: the manifest is not the one that its digest names", expected=wanted, found=own
                )
        return Found(sha256(answer.body), kind, answer.body)

    def named(self, reference: Reference, digest: str | None) -> Found | None:
        """What stands there, of which the `digest` may be said, too. Raises RegistryError where that is another."""
        found = self.manifest(reference)
        if found is not None and digest not in (None, found.digest):
            raise RegistryError(
                f"{reference} is not what the reference says", expected=digest, found=found.digest, code=FINDING
            )
        return found

    def blob(self, reference: Reference, digest: str, size: int, *, patience: float = 0) -> bytes:
        """The content of a blob, compared with its digest and size."""
        if not 0 <= size <= _LARGEST_ARCHIVE:
            raise RegistryError(
                f"{reference}: a blob of {size} bytes is not a chart", expected=f"at most {_LARGEST_ARCHIVE}"
            )
        path = f"{reference.repository}/blobs/{digest}"
        limit = max(size, 1 << 16)
        answer = patiently(lambda: self._ask(path, reference.repository, limit=limit, checked=True), patience, _POLL)
        if answer is None:
            raise DamagedError(f"{reference}: its layer {digest} is not in the registry", found="BLOB_UNKNOWN")
        expected, found = f"{digest}, {size} bytes", f"{sha256(answer.body)}, {len(answer.body)} bytes"
        if found != expected:
            raise DamagedError(f"{reference}: its layer is damaged in the registry", expected=expected, found=found)
        return answer.body

    def of_chart(self, reference: Reference, found: Found, *, patience: float = 0) -> Found:
        """The chart's own manifest: `found`, or, as helm has it, the one of a chart in the index `found`."""
        charts = []
        for digest in found.listed():
            inner = self.manifest(reference, digest=digest, patience=patience)
            with contextlib.suppress(NoChartError):
                (inner or found).layer()
                charts.append(inner or found)
        if found.media_type in _INDEX_TYPES and len(charts) != 1:
            raise NoChartError(f"{found.digest} is no chart", expected="one in the index", found=f"{len(charts)}")
        return charts[0] if charts else found

    def first_chart(self, chart_name: str, versions: Iterable[str]) -> str | None:
        """The first of these `versions` under which a chart stands."""
        for version in versions:
            reference = self.registry.reference(chart_name, version)
            with contextlib.suppress(NoChartError):
                if (found := self.manifest(reference)) is not None and self.of_chart(reference, found).layer():
                    return version
        return None

    def archive(self, reference: Reference, found: Found, *, patience: float = 0) -> bytes:
        """The chart archive that the manifest `found` names, checked."""
        digest, size = self.of_chart(reference, found, patience=patience).layer()
        return self.blob(reference, digest, size, patience=patience)

    def prov(self, reference: Reference, chart: Found) -> bytes | None:
        """The `.prov` beside the archive that a chart's own manifest names, None where there is none."""
        layers = [one for one in json_read.load(chart.content)["layers"] if one.get("mediaType") == PROV_TYPE]
        try:
            return self.blob(reference, str(layers[0]["digest"]), int(layers[0]["size"])) if layers else None
        except MALFORMED as error:
            raise DamagedError(f"{reference}: its .prov cannot be read", found=str(layers[0])[:200]) from error

    def served(self, reference: Reference, found: Found, *, patience: float = 0) -> bytes:
        """The archive of what the tag names. Raises RegistryError where its digest does not name the same."""
        named = self.manifest(reference, digest=found.digest, patience=patience)
        if named is None or named.content != found.content:
            raise DamagedError(f"{reference}: the registry does not serve {found.digest} by its digest")
        return self.archive(reference, found, patience=patience)

    def pull(self, reference: Reference, into: Path) -> Path:
        """The published archive as a file in the folder `into`, checked against the manifest."""
        found = self.manifest(reference)
        if found is None:
            raise RegistryError(f"{reference} is not published")
        path = into / f"{reference.repository.rpartition('/')[2]}-{reference.version}.tgz"
        write_atomic(path, self.archive(reference, found))
        return path

    def versions(self, chart_name: str) -> tuple[str, ...]:
        """The published versions, in the registry's order. Raises ListingError where it lists them to nobody of us."""
        tags = self.tags(self.registry.repository(chart_name))
        return tuple(tag.replace("_", "+") for tag in tags if not holds_referrers(tag))

    def tags(self, repository: str) -> tuple[str, ...]:
        """The same of all tags of a repository."""

        def page(query: Query) -> Answer | None:
            return self._ask(f"{repository}/tags/list", repository, query=query)

        read = functools.partial(_tags, repository)
        return tuple(dict.fromkeys(_read_all(page, read, f"{repository}: the list of tags", _MOST_TAGS, "tags")))

    def referrers(self, reference: Reference, digest: str) -> tuple[dict[str, Any], ...]:
        """The descriptors of what says of itself that it is about the manifest `digest`, none where nothing is there.

        A registry without the API for it has them in an index at a tag that is named after the digest; so has one whose
        API answers and lists nothing.
        """
        path = f"{reference.repository}/referrers/{digest}"

        def page(query: Query) -> Answer | None:
            answer = self._get(path, reference.repository, accept=INDEX_TYPE, query=query)
            if answer.status in (400, 404, 405, 406, 501) or (answer.status == 200 and answer.kind != INDEX_TYPE):
                return None
            if answer.status != 200:
                raise self._refusal(answer, path)
            return answer

        def read(answer: Answer) -> list[dict[str, Any]]:
            return _descriptors(reference, answer.body)

        found = _read_all(page, read, f"{reference}: the list of what is attached", _MOST_REFERRERS, "attachments")
        return tuple(found or self.listed_at_tag(reference, digest))

    def listed_at_tag(self, reference: Reference, digest: str) -> list[dict[str, Any]]:
        """The descriptors in the index at that tag."""
        index = self.manifest(replace(reference, version=referrers_tag(digest)))
        return _descriptors(reference, index.content) if index is not None else []

    # -- writing -------------------------------------------------------------------------------

    def put_blob(self, repository: str, data: bytes) -> str:
        """Upload `data`; its digest."""
        digest, content = sha256(data), ("application/octet-stream", data)
        for _ in range(_UPLOADS):
            there = self._open_upload(repository)
            answer = self._send("PUT", there, repository, query=(("digest", digest),), content=content)
            if answer.status == 201:
                return digest
            if not re.search(LOST_UPLOAD, answer.words().lower()):
                break
        raise self.push_refusal(repository, answer.words())

    def put_manifest(self, repository: str, name: str, data: bytes, kind: str = MANIFEST_TYPE) -> bool:
        """Write a manifest of that media type under a tag or its digest; whether the registry has noted its subject."""
        answer = self._send("PUT", f"{repository}/manifests/{name}", repository, content=(kind, data))
        if answer.status not in (200, 201, 202):
            raise self.push_refusal(repository, f"{name}: {answer.words()}")
        return bool(answer.headers.get("OCI-Subject"))

    def demand_push(self, chart_name: str) -> None:
        """Raises RegistryError where this login may not write, by an upload that is opened and given up again."""
        repository = self.registry.repository(chart_name)
        try:
            there = self._open_upload(repository)
        except Transient:
            return
        with contextlib.suppress(RegistryError):  # to delete may be a right of its own
            self._send("DELETE", there, repository, most=1)

    def _open_upload(self, repository: str) -> str:
        """Where an upload goes on. Raises RegistryError for what helm refuses, too."""
        answer = self._send("POST", f"{repository}/blobs/uploads/", repository)
        if answer.status == 401 and self._authorization.get(repository, "").startswith("Basic"):
            raise refused(self.registry, answer)  # as a wrong password is, where anybody may read
        if answer.status != 202:
            raise self.push_refusal(repository, answer.words())
        told = answer.headers.get("Location", "")
        if not told or (there := within(self._url(""), told, answer.url)) is None:
            raise RegistryError(
                f"{self.registry.host} has uploads go where they are not sent",
                expected=f"a Location at {self._url('')}",
                found=shown_url(told, answer.url) if told else "none",
                run="have what stands before the registry pass on its host and scheme (X-Forwarded-Proto)",
            )
        return there

    def push_refusal(self, repository: str, words: str) -> RegistryError:
        """Why nothing can be pushed to `repository`, from what the registry or helm says."""
        host, low = self.registry.host, re.sub(r'"https?://[^"]*"', "", words.lower())  # with its names and digests
        root = self._welcome if re.search("(http|code) 401", low) and self._authorization else None
        offered = read_challenges(root.challenges) if root else ()
        names = {"host": host, "repository": repository, "login": self.registry.login_command}
        ways = (way.format(**names) for said, way in _PUSH_WAYS if re.search(said, low))
        run = next(ways, None)
        if "name_unknown" in low and re.search(r"\.dkr[.-]ecr[.-]", host):
            run = f"aws ecr create-repository --repository-name {repository}"
        elif offered and (first := offered[0].scheme) not in ("basic", "bearer"):
            run = f"have {host} offer Basic or Bearer first: helm reads no challenge but the first, which is {first}"
        elif "code 401" in low and self._authorization.get(repository, "").startswith("Bearer"):  # helm's: we may push
            run = f"have {host} give tokens that are good for a whole push; or {run}"
        return RegistryError(f"{host} takes nothing in {repository}", found=words, run=run)

    # -- asking --------------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        """Where a path of the API is; a URL to which the registry has led is one already."""
        scheme = "http" if self.registry.plain_http else "https"
        return path if "://" in path else f"{scheme}://{self.registry.api_host}/v2/{path}"

    def _ask(self, path: str, repository: str, **options: Any) -> Answer | None:
        """GET with `options` of `Transport.send`; None where the registry says in OCI's words that nothing is there."""
        answer = self._get(path, repository, **options)
        if answer.status == 200:
            return answer
        if _says_unknown(answer):
            return None
        raise self._refusal(answer, path)

    def _get(self, path: str, repository: str, **options: Any) -> Answer:
        """GET, where nothing is there also with a login that nobody asked for: some say so to a stranger."""
        answer = self._send("GET", path, repository, **options)
        stranger = repository not in self._authorization and self.registry.credentials is not None
        if answer.status == 404 and stranger and self._log_in(repository, self._welcome):
            answer = self._send("GET", path, repository, **options)
        return answer

    def _send(self, method: str, path: str, repository: str, **options: Any) -> Answer:
        """One request with the login of `repository`, which is got when the registry asks for one."""
        answer = self._request(method, path, authorization=self._authorization.get(repository), **options)
        if self._log_in(repository, answer):
            answer = self._request(method, path, authorization=self._authorization[repository], **options)
        return answer

    def _request(self, method: str, path: str, **options: Any) -> Answer:
        """One request. Where nothing else says so, the first one finds out whether the registry speaks TLS."""
        try:
            answer = self._transport.send(method, self._url(path), **options)
        except (NoTls, BrokenTls) as error:
            if not self._asks_for_tls:
                raise
            self.registry = replace(self.registry, plain_http=True)
            try:
                answer = self._transport.send(method, self._url(path), **options)
            except RegistryError as other:  # TLS is broken off by who asks for a client certificate, too
                unheard = isinstance(other, Transient) and not isinstance(other, Busy)
                raise (error if unheard and isinstance(error, BrokenTls) else other) from None
        self._asks_for_tls = False
        return answer

    def _log_in(self, repository: str, answer: Answer | None) -> bool:
        """Get the login that `answer` asks for; False where it asks for none, or somebody else does."""
        if answer is None or answer.status != 401 or not answer.challenges or not within(self._url(""), answer.url):
            return False
        scope = f"repository:{repository}:{self._actions}"
        self._authorization[repository] = authorize(self._transport, self.registry, answer, scope)
        return True

    def _unlike_a_registry(self, answer: Answer) -> RegistryError | None:
        """The refusal of a server whose API root, too, is not that of a registry."""
        if answer.codes() or (welcome := self._welcome) is None or _like_a_registry(welcome):
            return None
        host, found = self.registry.host, welcome.words()
        if "SSL certificate" in found:  # nginx lets everybody connect, and says so on a page
            message = f"{host} refuses who shows no client certificate that it takes"
            return RegistryError(message, found=found, run=IDENTITY)
        return RegistryError(
            f"{host} is not an OCI registry",
            expected=f"an answer of the OCI distribution API at {self._url('')}",
            found=found,
            run=self._way_out,
        )

    def _refusal(self, answer: Answer, path: str) -> RegistryError:
        host, login = self.registry.host, self.registry.credentials
        if (doubt := self._unlike_a_registry(answer)) is not None:
            return doubt
        listing = path.endswith("/tags/list")
        if listing and (answer.status in (401, 403, 404, 405, 501) or "UNSUPPORTED" in answer.codes()):
            return ListingError(
                f"{host} does not list the versions in {path[: -len('/tags/list')]}",
                found=answer.words(),
                run=refused(self.registry, answer).run if answer.status in (401, 403) else None,
            )
        if answer.status == 401:
            return refused(self.registry, answer)
        if answer.status == 403:
            who = login.username or "the token" if login else "someone without a login"
            error = refused(self.registry, answer)
            error.message, error.found = f"{host} does not let {who} look at {self._url(path)}", answer.words()
            return error
        if answer.status == 404:
            return RegistryError(
                f"{host} answers 404 in words that are not a registry's",
                expected="an OCI error such as MANIFEST_UNKNOWN; anything else does not say that the version is absent",
                found=answer.words(),
                run=f"make {path.split('/')[0]} first, where {host} wants an owner; or look at what stands before it",
            )
        return RegistryError(f"{host} answers {self._url(path)} with something unexpected", found=answer.words())


def _like_a_registry(welcome: Answer) -> bool:
    """Whether this is what a registry answers at its API's root."""
    if welcome.status == 200:
        with contextlib.suppress(ValueError):
            header = welcome.headers.get("Docker-Distribution-Api-Version")
            return bool(header) or not welcome.body.strip() or isinstance(welcome.json(), dict)
        return False
    return bool(welcome.codes() or (welcome.status == 401 and welcome.challenges))


def _digest_like(wanted: str, content: bytes) -> str:
    """The digest of `content` of the kind that is `wanted`, of those that OCI and helm know."""
    kind = wanted.partition(":")[0]
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}" if kind in ("sha384", "sha512") else sha256(content)


def _says_unknown(answer: Answer) -> bool:
    return answer.status == 404 and bool(answer.codes() & (_UNKNOWN_CODES | {"BLOB_UNKNOWN"}))


def _tags(repository: str, answer: Answer) -> list[str]:
    with contextlib.suppress(*MALFORMED):
        told = answer.json()
        tags = told.get("tags") if told.get("name") == repository else told["tags"]  # Go may write no member for none
        if tags is None or (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            return tags or []
    raise RegistryError(f"{repository}: the answer is no list of tags", found=answer.words())


def referrers_tag(digest: str) -> str:
    """The tag whose index lists what is attached to the manifest `digest`, where a registry has no API for that."""
    return digest.replace(":", "-")


def is_referrers_tag(tag: str) -> bool:
    """Whether a tag is one that `referrers_tag` makes."""
    return re.fullmatch(_REFERRERS_TAG, tag) is not None


def holds_referrers(tag: str) -> bool:
    """Whether a tag is no version, but says what is attached to one (cosign's older form, too), or who publishes."""
    return bool(_REFERRERS.match(tag))


def _descriptors(reference: Reference, index: bytes) -> list[dict[str, Any]]:
    with contextlib.suppress(*MALFORMED):
        found = json_read.load(index).get("manifests") or []  # null is how Go writes none
        if all(_ANY_DIGEST.fullmatch(one["digest"]) for one in found):
            return list(found)
    raise RegistryError(
        f"{reference}: the list of what is attached is none", found=index[:200].decode("utf-8", "replace")
    )


def _read_all(
    page: Callable[[Query], Answer | None], read: Callable[[Answer], list[T]], what: str, most: int, noun: str
) -> list[T]:
    """What is read from each page of the list `what`: none where the first is not there."""
    query: Query | None = ()
    things, seen, end = list[T](), set[Query](), time.monotonic() + _LISTING
    while query is not None:
        if (answer := page(query)) is None:
            if not query:
                break
            raise RegistryError(f"{what} goes on to a page that is not there")
        things += read(answer)
        seen.add(query)
        query = _next_page(what, answer)
        if query in seen or len(seen) >= _MOST_PAGES or len(things) > most or time.monotonic() > end:
            raise RegistryError(
                f"{what} has no end",
                expected=f"at most {most} {noun} on {_MOST_PAGES} pages within {_LISTING:g} s, each page once",
                found=f"{len(things)} {noun} on {len(seen)} pages, and another one after them",
            )
    return things


def _next_page(what: str, answer: Answer) -> Query | None:
    """The query of the next page, which the Link header names; None on the last one.

    Behind a proxy the link may name another scheme, host or folder, and we do not leave for it: the same list is
    asked of the same registry, and only the query says where it goes on.
    """
    link = answer.headers.get("Link", "")
    match = _NEXT_PAGE.search(link) or _UNRELATED.match(link)
    if match is None:
        if "next" not in link.lower():
            return None
        raise RegistryError(f"{what} goes on in a way that cannot be read", found=link[:300])
    with contextlib.suppress(ValueError):
        if query := tuple(parse_qsl(urlsplit(match.group(1)).query, keep_blank_values=True)):
            return query
    raise RegistryError(f"{what} goes on nowhere", found=link[:300])


@contextlib.contextmanager
def connect(registry: Registry, *, push: bool = False, sleep: Callable[[float], None] = pause) -> Iterator[Client]:
    """A client for the block, with `push` as who will write, to whom some say more. Raises RegistryError."""
    with contextlib.closing(Transport(registry, sleep)) as transport:
        client = Client(registry, transport, push=push)
        try:
            yield client
        except RegistryError as error:
            error.run = error.run or f"look at {registry.host} and at what stands before it, then {SAME_COMMAND}"
            raise
