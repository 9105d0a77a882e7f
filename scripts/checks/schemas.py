"""Makes the strict JSON schemas that objects are checked against: one flat file a kind and Kubernetes minor, cached."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from scripts.chart.contents import is_definition
from scripts.chart.manifests import Document, nodes, opened
from scripts.core import json_read
from scripts.core.config import parts
from scripts.core.errors import ConfigError, OutputError, ToolError
from scripts.core.files import read_file, writing
from scripts.core.paths import matching, shown
from scripts.core.progress import Say, silent
from scripts.core.semver import minor as minor_of
from scripts.core.waiting import locked
from scripts.core.yaml_read import flaw_of, loader
from scripts.toolchain.crds import CRD_SETS, crd_files
from scripts.toolchain.finder import Toolchain
from scripts.toolchain.pins import Module
from scripts.workspace import Workspace

# How kubeconform finds the file of a kind; core's group is its version, `v1`.
TEMPLATE = "{{.ResourceKind}}_{{.Group}}_{{.ResourceAPIVersion}}.json"
_RECEIPT = "receipt.json"
_DEFINITIONS = "/api/_definitions.json#/$defs/"
_NEEDLESS = ("description", "default", "$id", "$schema")
# The part of an OpenAPI schema that checks a value and means the same in JSON schema.
_CHECKS = (
    "format", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required",
)  # fmt: skip
_OLD_BETAS = ("flowcontrol.apiserver.k8s.io", "autoscaling")  # whose beta versions are on by default
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Kind(NamedTuple):
    """A kind of object as manifests write it: `apps/v1`, `Deployment`."""

    api_version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def path(self) -> str:
        """As helm names it where a template asks for it: `apps/v1/Deployment`."""
        return f"{self.api_version}/{self.kind}"

    @property
    def file(self) -> str:
        """The name that TEMPLATE gives."""
        group, version = self.api_version.partition("/")[0], self.api_version.rpartition("/")[2]
        return f"{self.kind.lower()}_{group}_{version}.json"

    @property
    def plausible(self) -> bool:
        """False for text that is no kind at all and must not become part of a path."""
        return bool(re.fullmatch(r"([a-z0-9.-]+/)?v[a-z0-9]+", self.api_version) and re.fullmatch(r"\w+", self.kind))


@dataclass(frozen=True)
class Prepared:
    """Where kubeconform finds a minor's schemas, which kinds have none, and `sums`: what obeys one obeys its equal."""

    locations: tuple[str, ...]
    missing: frozenset[Kind]
    sums: Mapping[Kind, str] = field(default_factory=dict)


def schemas_of(work: Workspace) -> Schemas:
    """The schemas of the pinned tools and the configuration, in the user's cache. Raises ConfigError, ToolError."""
    config = work.config
    folders = [folder for name in config.schema_folders for folder in _fitting(config.project, name, "schema_folders")]
    places = [place for name in config.crds for place in _fitting(config.project, name, "crds")]
    for entry in config.crd_modules:
        path, version, folder, h1 = parts("crd_modules", entry)
        source = work.tools.unpacked(Module(path.replace("/", "-"), path, version, h1))
        places += _fitting(source, folder or ".", "crd_modules")
    within = (sorted(place.rglob("*.y*ml")) if place.is_dir() else [place] for place in places)
    files = [file for found in within for file in found if not file.is_dir()]
    return Schemas(config.cache_dir, work.tools, folders, files, say=work.say)


def _fitting(base: Path, pattern: str, key: str) -> list[Path]:
    """What there is that a pattern, or a plain path, names from `base`. Raises ConfigError for nothing."""
    if not (found := matching(base, pattern)):
        raise ConfigError(f"[tool.gati] {key} names {shown(base / pattern)}, which is not there")
    return found


class Schemas:
    """The schemas of Kubernetes' own kinds, of the pinned operators' and of those that a chart defines itself.

    `cache` is the user's cache folder, `folders` and `files` are the configuration's. Safe for several threads and
    processes: a file is written whole or not at all, and one whose content is not what was written is made anew.
    """

    def __init__(
        self, cache: Path, tools: Toolchain, folders: Sequence[Path] = (), files: Sequence[Path] = (), say: Say = silent
    ) -> None:
        self._root = cache / "schemas"
        self._tools, self._folders, self._files, self._say = tools, folders, files, say

    def minors(self) -> tuple[str, ...]:
        """The Kubernetes minors whose schemas are at hand, oldest first: `1.25`, ..."""
        return _minors()

    def prepare(
        self,
        kube_version: str,
        kinds: Iterable[Kind],
        definitions: Sequence[Document] = (),
        unrendered: Callable[[Collection[str]], Iterable[Document]] = lambda _: (),
    ) -> Prepared:
        """Have a schema for each of `kinds` in the cache.

        `definitions` are the CustomResourceDefinition objects that the chart renders; they come first. `unrendered`
        gives those that it has beside them, for kinds as `group/version/Kind`. Raises ToolError where the cache
        cannot be written or an operator's module cannot be had.
        """
        minor = minor_of(kube_version)
        wanted = {kind for kind in kinds if kind.plausible}
        missing = set(kinds) - wanted
        locations: list[str] = []
        sums: dict[Kind, str] = {}
        for take in (
            lambda kinds: self._defined(kinds, definitions),
            self._given,
            lambda kinds: self._kubernetes(kinds, minor),
            lambda kinds: self._defined(kinds, unrendered({kind.path for kind in kinds})),
            self._operators,
        ):
            store, found = take(wanted) if wanted else (None, set())
            wanted -= found
            if store is not None and found:
                # As an address, so that a space or a percent sign in the cache's path stays what it is.
                locations.append(f"{store.folder.resolve().as_uri()}/{TEMPLATE}")
                known = store.sums()
                sums |= {kind: known.get(kind.file, "") for kind in found}
        return Prepared(tuple(locations), frozenset(missing | wanted), sums)

    def served_by(self, kind: Kind) -> tuple[str, ...]:
        """The minors whose Kubernetes knows `kind`."""
        return tuple(m for m in self.minors() if self.knows(m, kind))

    def knows(self, minor: str, kind: Kind) -> bool:
        """Whether that minor's Kubernetes has `kind`."""
        return kind.plausible and _kubernetes_schema(minor, kind) is not None

    def owned_by_kubernetes(self, group: str) -> bool:
        """Whether kinds of `group` are Kubernetes' own; those of others have a dot, which the API server demands."""
        return "." not in group or group in self._own_groups

    @functools.cached_property
    def _own_groups(self) -> frozenset[str]:
        return frozenset(group_of(name) for m in self.minors() for name in self.builtin(m))

    def builtin(self, minor: str) -> frozenset[str]:
        """What a cluster of that minor serves by itself, as `group/version` and `group/version/Kind`.

        Without what has to be switched on first: alpha versions, and beta ones younger than 1.24.
        """
        store = self._store(f"v{minor}-{_digest(_dataset_version())}")
        store.ensure({"served.json": functools.partial(_served, minor)})
        return frozenset(json_read.load((store.folder / "served.json").read_bytes()))

    def operators(self) -> frozenset[str]:
        """What the pinned operators serve, as `group/version` and `group/version/Kind`."""
        return _names(self._operator_index(self._operator_store()))

    def defined(self) -> frozenset[str]:
        """What the definitions of the configuration serve, as `group/version` and `group/version/Kind`."""
        return _names(self._further_definitions)

    @functools.cached_property
    def _further_definitions(self) -> Mapping[Kind, tuple[Path, Mapping[str, Any]]]:
        return {
            kind: (file, schema)
            for file in self._files
            for crd in read_definitions(file)
            for kind, schema in _versions(crd)
        }

    def _defined(self, kinds: set[Kind], definitions: Iterable[Document]) -> tuple[Store | None, set[Kind]]:
        """Those of the chart's own definitions."""
        groups = {kind.group for kind in kinds}
        crds = {one.text: one.data for one in definitions if is_definition(one.data) and one.spec["group"] in groups}
        by_kind = {kind: schema for crd in crds.values() for kind, schema in _versions(crd)}
        if not (found := kinds & by_kind.keys()):
            return None, set()
        store = self._store(f"own-{_digest(*sorted(crds))}")
        store.ensure({kind.file: functools.partial(_crd_schema, kind, by_kind[kind]) for kind in found})
        return store, found

    def _given(self, kinds: set[Kind]) -> tuple[Store | None, set[Kind]]:
        """Those of the configuration."""
        given: dict[Kind, tuple[Path, Callable[[], Any]]] = {}
        for kind in kinds:
            if kind in self._further_definitions:
                file, schema = self._further_definitions[kind]
                given[kind] = file, functools.partial(_crd_schema, kind, schema)
            elif file_of := next((f for folder in self._folders if (f := _schema_in(folder, kind))), None):
                given[kind] = file_of, functools.partial(_read_schema, file_of)
        if not given:
            return None, set()
        store = self._store(f"given-{_digest(*(file.read_bytes() for file in sorted({f for f, _ in given.values()})))}")
        store.ensure({kind.file: make for kind, (_, make) in given.items()})
        return store, set(given)

    def _kubernetes(self, kinds: set[Kind], minor: str) -> tuple[Store, set[Kind]]:
        store = self._store(f"v{minor}-{_digest(_dataset_version())}")
        found = {kind for kind in kinds if store.holds(kind.file) or _kubernetes_schema(minor, kind) is not None}
        store.ensure({kind.file: functools.partial(_flat_schema, minor, kind) for kind in found})
        return store, found

    def _operators(self, kinds: set[Kind]) -> tuple[Store, set[Kind]]:
        store = self._operator_store()
        index = self._operator_index(store)
        found = kinds & index.keys()
        store.ensure({kind.file: functools.partial(self._operator_schema, kind, index[kind]) for kind in found})
        return store, found

    def _operator_store(self) -> Store:
        sources = [self._tools.module(name).folder for name in CRD_SETS]
        return self._store(f"operators-{_digest(*sources, _dataset_version())}")

    def _operator_index(self, store: Store) -> dict[Kind, tuple[str, str]]:
        """Each kind of the pinned operators, with the set and the file that define it."""
        store.ensure({"index.json": self._make_index})
        entries = json_read.load((store.folder / "index.json").read_bytes())
        return {Kind(api_version, kind): (name, file) for api_version, kind, name, file in entries}

    def _make_index(self) -> Any:
        self._say("reading the custom resource definitions of the pinned operators (once; kept in the cache)")
        return [
            [*kind, name, file.name]
            for name in CRD_SETS
            for file in crd_files(name, self._tools)
            for crd in read_definitions(file)
            for kind, _ in _versions(crd)
        ]

    def _operator_schema(self, kind: Kind, place: tuple[str, str]) -> Any:
        name, wanted = place
        (file,) = (file for file in crd_files(name, self._tools) if file.name == wanted)
        by_kind = {found: version for crd in read_definitions(file) for found, version in _versions(crd)}
        return _crd_schema(kind, by_kind[kind])

    def _store(self, name: str) -> Store:
        return Store(self._root / name, self._say)


def _names(kinds: Iterable[Kind]) -> frozenset[str]:
    return frozenset(name for kind in kinds for name in (kind.api_version, kind.path))


class Store:
    """A folder of generated JSON files, each compared with the checksum noted when it was written before it is used."""

    def __init__(self, folder: Path, say: Say = silent) -> None:
        self.folder = folder
        self._say = say

    def holds(self, name: str) -> bool:
        """Whether `name` was made before; it may have been damaged since."""
        return (self.folder / name).exists()

    def ensure(self, wanted: Mapping[str, Callable[[], Any]]) -> None:
        """Have each file of `wanted`, made where it is absent or not what was written. Raises ToolError."""
        if not self._unsound(wanted):
            return
        where = f"{self.folder} (or name another one: GATI_CACHE_DIR)"
        lock = locked(self.folder / ".lock", what=f"the schemas in {self.folder}", deadline=120, error=OutputError)
        with writing(f"the schema cache {self.folder} cannot be written", where, error=ToolError), lock:
            unsound = self._unsound(wanted)  # another process may have made them
            sums = self.sums()
            for name in unsound:
                if name in sums and self.holds(name):
                    self._say(f"the cached schema {name} is not what was written: making it anew")
                content = json.dumps(wanted[name](), separators=(",", ":"), sort_keys=True).encode()
                self._write(name, content)
                sums[name] = _digest(content)
            self._write(_RECEIPT, json.dumps(sums, indent=1, sort_keys=True).encode())

    def _unsound(self, names: Iterable[str]) -> list[str]:
        sums = self.sums()
        return [name for name in names if sums.get(name, "none noted") != self._sum(name)]

    def _sum(self, name: str) -> str | None:
        with contextlib.suppress(OSError):
            return _digest((self.folder / name).read_bytes())
        return None

    def sums(self) -> dict[str, str]:
        """The checksum of each file, as it was written."""
        with contextlib.suppress(OSError, ValueError):
            sums = json_read.load((self.folder / _RECEIPT).read_bytes())
            if isinstance(sums, dict):
                return sums
        return {}

    def _write(self, name: str, content: bytes) -> None:
        fresh = self.folder / f".{name}.{os.getpid()}"
        try:
            fresh.write_bytes(content)
            fresh.replace(self.folder / name)
        finally:
            fresh.unlink(missing_ok=True)


def read_definitions(file: Path) -> tuple[Mapping[str, Any], ...]:
    """The CustomResourceDefinitions in a YAML file, beside patches of them or without any. Raises ConfigError."""
    try:
        documents = list(yaml.load_all(read_file(file), Loader=loader()))
    except (OSError, yaml.YAMLError) as error:
        found = flaw_of(error) if isinstance(error, yaml.YAMLError) else error.strerror
        ways = "name files with definitions as a cluster takes them, such as what `helm template` makes of a template"
        raise ConfigError(f"no definitions can be read from {shown(file)}", found=found, run=ways) from error
    objects = (each for document in documents if isinstance(document, Mapping) for each in opened(document))
    return tuple(each for each in objects if is_definition(each))


def _versions(crd: Mapping[str, Any]) -> Iterator[tuple[Kind, Mapping[str, Any]]]:
    """Each served kind of a definition, with its OpenAPI schema."""
    spec = crd["spec"]
    for version in spec.get("versions", ()):
        if version.get("served", True):
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            schema = schema or {"x-kubernetes-preserve-unknown-fields": True}
            yield Kind(f"{spec['group']}/{version['name']}", spec["names"]["kind"]), schema


# -- Kubernetes' own kinds: PyPI's kubernetes-validate carries their schemas ------------------------


@functools.cache
def _dataset() -> Path:
    spec = importlib.util.find_spec("kubernetes_validate")  # found, not imported
    if spec is None or spec.origin is None:
        raise ToolError("the package kubernetes-validate is not installed", run="pip install -e .")
    return Path(spec.origin).parent / "kubernetes-json-schema"


@functools.cache
def _minors() -> tuple[str, ...]:
    found = [re.fullmatch(r"v1\.(\d+)\.0-local-strict", folder.name) for folder in _dataset().iterdir()]
    return tuple(f"1.{minor}" for minor in sorted(int(match[1]) for match in found if match))


@functools.cache
def _dataset_version() -> str:
    return importlib.metadata.version("kubernetes-validate")


def _kubernetes_schema(minor: str, kind: Kind) -> dict[str, Any] | None:
    """The schema of `kind` as the dataset has it: its group's first label names the file, so the group is compared."""
    suffix = "-".join(part.partition(".")[0] for part in kind.api_version.split("/"))
    file = _dataset() / f"v{minor}.0-local-strict" / f"{kind.kind.lower()}-{suffix}.json"
    try:
        schema = json_read.load(file.read_bytes())
    except FileNotFoundError:
        return None
    version = kind.api_version.rpartition("/")[2]
    for known in schema.get("x-kubernetes-group-version-kind", ()):
        if (known["group"], known["version"], known["kind"]) == (kind.group, version, kind.kind):
            return dict(schema)
    return None


def _served(minor: str) -> list[str]:
    """What `Schemas.builtin` says of that minor."""
    served = set()
    for schema in _kubernetes_definitions(minor).values():
        for known in schema.get("x-kubernetes-group-version-kind", ()):
            group, version, kind = known["group"], known["version"], known["kind"]
            young = "beta" in version and group not in _OLD_BETAS
            if "alpha" in version or young or kind.endswith("List") or "metadata" not in schema.get("properties", {}):
                continue
            api_version = f"{group}/{version}" if group else version
            served |= {api_version, f"{api_version}/{kind}"}
    return sorted(served)


def group_of(name: str) -> str:
    """The group of `group/version` or `group/version/Kind`."""
    parts = name.split("/")
    return parts[0] if len(parts) > 1 and not re.fullmatch(r"v\d\w*", parts[0]) else ""


def _schema_in(folder: Path, kind: Kind) -> Path | None:
    """The schema of `kind` in a folder of the forms that are in use: kubeconform's own, and the catalogue's."""
    name, group, version = kind.kind.lower(), kind.group, kind.api_version.rpartition("/")[2]
    suffix = "-".join(part.partition(".")[0] for part in kind.api_version.split("/"))
    for form in (f"{group}/{name}_{version}.json", kind.file, f"{name}-{suffix}.json", f"{name}.json"):
        if (folder / form).is_file():
            return folder / form
    return None


def _read_schema(file: Path) -> Any:
    try:
        return json_read.load(file.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{shown(file)} is no JSON schema", found=str(error)) from error


@functools.lru_cache(maxsize=1)
def _kubernetes_definitions(minor: str) -> Mapping[str, Any]:
    definitions = json_read.load((_dataset() / f"v{minor}.0-local-strict" / "_definitions.json").read_bytes())["$defs"]
    return dict(definitions)


def _flat_schema(minor: str, kind: Kind) -> Any:
    """`kind`'s schema with the definitions it leads to, and nothing that does not check a value."""
    return _with_definitions(_slim(_kubernetes_schema(minor, kind)), _kubernetes_definitions(minor))


def _with_definitions(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    needed: dict[str, Any] = {}
    ahead = _references(schema)
    while ahead:
        name = ahead.pop()
        needed[name] = _slim(definitions[name])
        ahead |= _references(needed[name]) - needed.keys()
    return {**schema, "$defs": needed}


def _slim(schema: Any, names: bool = False) -> Any:
    """`schema` without prose and extensions, references made local; `names` says that its keys are property names."""
    if isinstance(schema, dict):
        several = schema.get("oneOf")
        if not names and several and all(each.keys() == {"type"} for each in several):
            # What is one of two types may be null, which is each of them and would not be one.
            kinds = {"null", *(kind for each in several for kind in each["type"])}
            schema = {"type": sorted(kinds, key=lambda kind: (kind != "null", kind))}
        return {
            key: _slim(value, names=not names and key in ("properties", "$defs"))
            if key != "$ref" or not isinstance(value, str)
            else value.replace(_DEFINITIONS, "#/$defs/")
            for key, value in schema.items()
            if names or not (key in _NEEDLESS or key.startswith("x-"))
        }
    return [_slim(item) for item in schema] if isinstance(schema, list) else schema


def _references(schema: Any) -> set[str]:
    return {ref.rpartition("/")[2] for node in nodes(schema) if isinstance(ref := node.get("$ref"), str)}


# -- Custom resources ----------------------------------------------------------------------------


def _crd_schema(kind: Kind, schema: Mapping[str, Any]) -> Any:
    """A definition's OpenAPI schema as JSON schema: unknown fields refused, metadata checked as Kubernetes does."""
    strict = _strict(schema)
    strict["properties"] = {
        **strict.get("properties", {}),
        "apiVersion": {"enum": [kind.api_version]},
        "kind": {"enum": [kind.kind]},
        "metadata": {"$ref": f"#/$defs/{_META}"},
    }
    strict["required"] = sorted({*strict.get("required", ()), "apiVersion", "kind", "metadata"})
    return _with_definitions(strict, _kubernetes_definitions(_minors()[-1]))


def _strict(schema: Mapping[str, Any], *, closed: bool = True, absent: bool = False) -> dict[str, Any]:
    """One level of a structural schema. Inside `allOf` and the like nothing is declared, so nothing is closed.

    `absent` says that there may be nothing: then the API server takes a null away before it checks.
    """
    given = {name for name, value in schema.get("properties", {}).items() if "default" in value}
    required = [name for name in dict.fromkeys(schema.get("required") or ()) if name not in given]
    checks = {**schema, "required": required, "enum": _once(schema.get("enum") or ())}
    result = {key: checks[key] for key in _CHECKS if checks.get(key) not in (None, [])}
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    elif kind:
        result["type"] = kind
    nullable = absent or schema.get("nullable")
    if nullable and "type" in result:
        types = result["type"] if isinstance(result["type"], list) else [result["type"]]
        result["type"] = [*types, "null"]
    if nullable and "enum" in result:
        result["enum"] = [*result["enum"], None]
    properties = {
        name: _strict(value, closed=closed, absent=closed and name not in required)
        for name, value in schema.get("properties", {}).items()
    }
    if schema.get("x-kubernetes-embedded-resource"):
        properties = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}, **properties}
    if properties:
        result["properties"] = properties
    if isinstance(schema.get("items"), Mapping):
        result["items"] = _strict(schema["items"], closed=closed)
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        result["additionalProperties"] = _strict(additional, closed=closed, absent=closed)
    elif closed and properties and additional is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result["additionalProperties"] = False
    for key in ("allOf", "anyOf", "oneOf"):
        if schema.get(key):
            null = [{"type": "null"}] if nullable and key == "anyOf" else []
            result[key] = [*(_strict(branch, closed=False) for branch in schema[key]), *null]
    if isinstance(schema.get("not"), Mapping):
        result["not"] = _strict(schema["not"], closed=False)
    return result


def _once(values: Iterable[Any]) -> list[Any]:
    """`values` without those that stand twice: no definition is refused for one, and every JSON schema is."""
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


_generator = functools.cache(Path(__file__).read_bytes)
"""This module's own text: schemas that another version of it made are not used."""


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256(_generator())
    for part in parts:
        digest.update(b"\0" + (part.encode() if isinstance(part, str) else part))
    return digest.hexdigest()[:16]
