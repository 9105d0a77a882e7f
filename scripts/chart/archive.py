"""Owns the chart archive: packs a chart folder the same way everywhere, reads archives, hands them over in `dist/`."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import operator
import re
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from scripts.chart.helm import Helm
from scripts.chart.manifest_digest import pushed_manifest, sha256
from scripts.core import files, json_read
from scripts.core.config import Config
from scripts.core.errors import MALFORMED, REFUSED, ChartError
from scripts.core.owner import temporary
from scripts.core.yaml_read import flaw_of, load, load_texts

RECORD = "package.json"
UNDATED = 315532800  # seconds since 1970: 1980-01-01, the first day that every archive format can hold
SCHEMA_VERSION = 1
_RECORDED = ("name", "version", "sha256", "size", "manifest_digest", "created")  # of a package
_SUBCHART = re.compile(r"/charts/[^/]+(?=/)")
_LARGEST = 100 << 20  # bytes, unpacked: what helm accepts
_MOST = 20_000  # members, of which each costs far more memory than its 512 bytes
_CLAIMED = (OverflowError, MemoryError, RecursionError)  # by headers: sizes, numbers, and headers of headers
_SHOWN, _NAME = 10, 80  # members that an error names, and how much of a name


@dataclass(frozen=True)
class Given:
    """A version and an appVersion that take the place of those in Chart.yaml, which are placeholders there."""

    version: str | None = None
    app_version: str | None = None

    def __str__(self) -> str:
        words = {"version": self.version, "appVersion": self.app_version}
        return ", ".join(f"{name} {value}" for name, value in words.items() if value)


@dataclass(frozen=True)
class Package:
    """A packed chart: the archive's `path`, `sha256` (64 hexadecimal digits) and `size` in bytes.

    `manifest_digest` ("sha256:...") is that of the OCI manifest which a push will write; `created` is the time
    that the archive and the manifest carry, in RFC 3339.
    """

    path: Path
    name: str
    version: str
    sha256: str
    size: int
    manifest_digest: str
    created: str
    given: Given | None = field(default=None, compare=False)
    prov: bytes | None = field(default=None, compare=False, repr=False)
    """The `.prov` that is pushed beside the archive, of which `manifest_digest` then speaks too."""

    @property
    def title(self) -> str:
        """What a person calls it: `NAME VERSION`."""
        return f"{self.name} {self.version}"

    @property
    def epoch(self) -> int:
        """`created` in seconds since 1970."""
        return int(datetime.fromisoformat(self.created).timestamp())


def pack(helm: Helm, chart: Path, epoch: int, given: Given | None = None) -> bytes:
    """The archive of the chart folder: the same bytes for the same files, whatever their times. Raises ChartError."""
    with temporary("package") as folder:
        data = helm.package(chart, folder, epoch=epoch, **(asdict(given) if given else {})).read_bytes()
    members = read_members(data, "the archive that helm wrote")
    subcharts = {name[: match.end()] for name in members for match in _SUBCHART.finditer(name)}
    if len(subcharts) > 1:
        return _sorted(members, epoch)  # helm writes several subcharts in an order that changes from run to run
    return data


def _sorted(members: Mapping[str, bytes], epoch: int) -> bytes:
    """The archive with its files in the order of their names, Chart.yaml of the chart itself first."""
    first = next(iter(members))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipper, tarfile.open(fileobj=zipper, mode="w") as tar:
        for name in sorted(members, key=lambda name: (name != first, name)):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(members[name]), epoch, 0o644
            tar.addfile(info, io.BytesIO(members[name]))
    return packed.getvalue()


def describe(path: Path, data: bytes, epoch: int) -> Package:
    """What there is to know of the archive `data`, which stands or will stand at `path`. Raises ChartError."""
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = chart_metadata(data, str(path))
    return Package(
        path=path,
        name=metadata["name"],
        version=metadata["version"],
        sha256=files.sha256(data),
        size=len(data),
        manifest_digest=sha256(pushed_manifest(data, metadata, created)),
        created=created,
    )


def chart_metadata(data: bytes, what: str) -> dict[str, Any]:
    """What the Chart.yaml of the archive `data` says, every scalar as text.

    What a requirements.yaml says, from the days of Helm 2, is laid over, as helm does.

    Raises ChartError naming `what`: no archive, no Chart.yaml in its one folder, or one without name and version.
    """
    members = read_members(data, what)
    found = [content for name, content in members.items() if name.count("/") == 1 and name.endswith("/Chart.yaml")]
    if len(found) != 1:
        inside = ", ".join(list(members)[:_SHOWN]) + ", ..." * (len(members) > _SHOWN)
        expected = "a Chart.yaml in its one folder"
        raise ChartError(f"{what} is no chart archive", expected=expected, found=inside or "nothing")
    try:
        load(found[0])  # what a key `<<` names, which is a text here, may be none that helm reads
        metadata = load_texts(found[0])
    except yaml.YAMLError as error:
        raise ChartError(f"{what}: its Chart.yaml is not valid YAML", found=flaw_of(error)) from error
    facts = metadata if isinstance(metadata, dict) else {}
    older = [content for name, content in members.items() if re.fullmatch(r"[^/]+/requirements\.yaml", name)]
    with contextlib.suppress(yaml.YAMLError, TypeError):
        facts = {**facts, **load_texts(older[0])} if older else facts
    if not all(isinstance(facts.get(key), str) and facts[key] for key in ("name", "version")):
        said = ", ".join(map(str, facts)) or type(metadata).__name__
        raise ChartError(f"{what}: its Chart.yaml is none", expected="a mapping with name and version", found=said)
    return facts


def read_members(data: bytes, what: str) -> dict[str, bytes]:
    """The files in an archive by name, in its order. Raises ChartError naming `what`: damaged, too large, links."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as zipped:
            unpacked = zipped.read(_LARGEST + 1)
            if len(unpacked) > _LARGEST:
                raise ChartError(f"{what} is too large", expected=f"at most {_LARGEST >> 20} MiB unpacked")
        members, size = dict[str, bytes](), 0
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
            for number, info in enumerate(tar):
                size += max(0, info.size)  # of a sparse file more than there is of it
                if number >= _MOST or size > _LARGEST:
                    most = f"at most {_MOST} files, and {_LARGEST >> 20} MiB unpacked"
                    raise ChartError(f"{what} is too large", expected=most)
                if (file := tar.extractfile(info) if info.isfile() else None) is not None:
                    members[info.name] = file.read()
                elif not info.isdir():  # helm would read it as an empty file
                    kind = "a link" if info.issym() or info.islnk() else "a device"
                    raise ChartError(
                        f"{what} holds {kind}, which is no file",
                        expected="files and folders",
                        found=repr(info.name[:_NAME]),
                    )
        return members
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, *_CLAIMED) as error:
        raise ChartError(f"{what} is not a whole .tgz", found=str(error) or type(error).__name__) from error


# What a file system says of names alone. (A ValueError is a NUL, or letters that the locale lacks.)
_NO_NAME = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


def unpack(data: bytes, into: Path, what: str = "the archive") -> Path:
    """Write the files of an archive below the folder `into`; the chart's folder. Raises ChartError naming `what`."""
    members = read_members(data, what)
    root = next((name.partition("/")[0] for name in members), "")
    strange = [name for name in members if {"", ".", ".."} & set(name.split("/")) or not name.startswith(f"{root}/")]
    if strange or f"{root}/Chart.yaml" not in members:
        raise ChartError(
            f"{what} is no chart archive",
            expected="a Chart.yaml in its one folder" + ", and nothing beside that folder" * bool(strange),
            found=", ".join(repr(name[:_NAME]) for name in (strange or list(members))[:_SHOWN]) or "nothing",
        )
    for name, content in members.items():
        file = into / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_NAME:
                raise
            raise ChartError(
                f"{what} holds names that cannot be files together", found=f"{name[:_NAME]!r}: {error.args[-1]}"
            ) from error
    return into / root


def changed_files(old: bytes, new: bytes, alike: Callable[[bytes, bytes], bool] = operator.eq) -> tuple[str, ...]:
    """How the files of two archives differ, one line a file: `+ name`, `- name`, `~ name`."""
    before, after = read_members(old, "the first archive"), read_members(new, "the second archive")
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(f"+ {name}")
        elif name not in after:
            lines.append(f"- {name}")
        elif not alike(before[name], after[name]):
            lines.append(f"~ {name}")
    return tuple(lines)


def record_text(package: Package) -> str:
    """The text of `dist/<name>.package.json` for `package`."""
    record = {"schema_version": SCHEMA_VERSION, "archive": package.path.name}
    record |= {key: getattr(package, key) for key in _RECORDED}
    return files.to_json(record | ({"given": asdict(package.given)} if package.given else {}))


def load_package(config: Config, name: str) -> Package:
    """The package that `invoke package` left in `dist/`. Raises ChartError for none, or one that is not as recorded."""
    file, again = config.result(name, RECORD), dict[str, Any](run="invoke package", code=REFUSED)
    try:
        record: dict[str, Any] = json_read.load(files.read_file(file))
        if (form := record["schema_version"]) != SCHEMA_VERSION:
            expected = f"schema_version {SCHEMA_VERSION}"
            raise ChartError(f"{file} has another form", expected=expected, found=repr(form))
        path = config.dist / Path(record["archive"]).name
        given = Given(**record["given"]) if "given" in record else None
        recorded = Package(path, **{key: record[key] for key in _RECORDED}, given=given)
        found = describe(path, files.read_file(path), recorded.epoch)
    except ChartError as error:
        raise ChartError(error.message, expected=error.expected, found=error.found, **again) from error
    except FileNotFoundError as error:
        raise ChartError(f"nothing is packaged: {error.filename} does not exist", **again) from error
    except OSError as error:
        raise ChartError(f"{error.filename} cannot be read", found=error.strerror) from error
    except MALFORMED as error:
        raise ChartError(f"{file} is damaged", found=f"{type(error).__name__}: {error}", **again) from error
    if found != recorded:
        expected, other = f"sha256 {recorded.sha256}", f"sha256 {found.sha256}"
        raise ChartError(f"{path} is not the archive that was packaged", expected=expected, found=other, **again)
    if found.name != name:
        raise ChartError(f"{file} is of another chart", expected=name, found=found.name, **again)
    return recorded
