"""Asks an address while a release is rolled out for a person, and says what was lost meanwhile and why."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from scripts.core.errors import ConfigError, FindingsError, ReleaseError
from scripts.core.files import write_json
from scripts.e2e.discover import discover
from scripts.e2e.k6 import KINDS
from scripts.e2e.ledger import Ledger
from scripts.e2e.recording import record
from scripts.e2e.subject import Question, Subject
from scripts.rollout.rollout import Rollout
from scripts.workspace import Workspace

_RATE = 20  # requests a second of each kind of connection: a visitor, and no burden
_ADDRESS = re.compile(r"https?://[^/?#]\S*|(?:grpc|tcp)://\S+:\d+/?")
_AFTER = 5.0  # seconds of load after the end of the rollout


@dataclass
class Witness:
    """Asks `url` beside a rollout; `ledger` is there once it has ended.

    `service` is the Service behind the address, by which a loss is explained; "" looks for it in the release.
    """

    work: Workspace
    url: str
    service: str = ""
    ledger: Ledger | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.url):
            raise ConfigError(
                f"--ledger {self.url} is no address",
                expected="http(s)://host/path, grpc://host:port or tcp://host:port",
            )

    @contextlib.contextmanager
    def beside(self, rollout: Rollout) -> Iterator[None]:
        """Ask while the block runs; the ledger goes to `dist/rollout/RELEASE`, whatever becomes of the rollout."""
        parts = urlsplit(self.url)
        http = parts.scheme in ("http", "https")
        target = self.url if http else parts.netloc
        kinds = ("new",) if parts.scheme == "tcp" else KINDS
        service = self.service or _service(rollout)
        folder = self.work.config.dist / "rollout" / rollout.release
        question = Question(service, protocol=parts.scheme, statuses=tuple(range(200, 400)))

        def note(ledger: Ledger) -> None:
            self.ledger = ledger
            write_json(folder / "ledger.json", ledger.report())
            self.work.say("\n".join(ledger.lines()))

        with record(
            self.work.tools.path("k6"),
            self.work.runner,
            rollout.api,
            rollout.namespace,
            targets=[target],
            results=folder / "ledger.requests.jsonl",
            question=question,
            rate=_RATE,
            note=note,
            enough=1,
            kinds=kinds,
        ) as recording:
            yield
            recording.go_on(_AFTER)

    def demand_kept(self) -> None:
        """Raises FindingsError where requests were lost or became slow, or where nobody can say."""
        if self.ledger is not None and not self.ledger.passed:
            noticed = "whether the rollout was noticed is not known" if self.ledger.void else "the rollout was noticed"
            told = self.ledger.objections or map(str, self.ledger.windows)
            raise FindingsError(f"{noticed}: {'; '.join(told)}")


def _service(rollout: Rollout) -> str:
    """The Service of the release that is there, as its objects say; "" where none is found."""
    try:
        found = discover(rollout.manifest(), Subject(rollout.release))
    except ReleaseError:
        return ""
    return found.question.service if found.question else ""
