"""Writes docs/reference.md out of the code: `python -m tests.reference` after a change of a flag, a key or a file."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from invoke.parser.argument import Argument

from scripts.core import config, errors
from scripts.e2e.subject import Subject

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference.md"
_SESSIONS = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
VARIABLES = {
    "GATI_REGISTRY_USERNAME": "Login of the configured registry; comes before every login that is stored.",
    "GATI_REGISTRY_PASSWORD": "Its password or token.",
    "GATI_SIGNING_PASSWORD": "The passphrase of the key that a release is signed with.",
    "GATI_OWNER": "What our processes tell each other: whose temporary things are whose. Not to be set.",
    "GATI_BIND": "The address that the compose stack publishes its ports on.",
    "CI": "Set by the CI system: no view moves, and the embedded registry has to be meant (`--registry embedded`).",
    "GITHUB_ACTIONS, GITLAB_CI": "Set by the CI system: lines are grouped, findings are put at their places.",
    "GITHUB_STEP_SUMMARY": "Set by GitHub: `invoke report` adds its head to the job's summary.",
    "GITHUB_TOKEN, GH_TOKEN": "Whose `forge` is GitHub: the token for a release there; it goes to that forge alone.",
    "GITLAB_TOKEN": "The same for GitLab.",
    "GITEA_TOKEN, FORGEJO_TOKEN": "The same for Gitea and Forgejo.",
    "VAULT_TOKEN": "Whose `signing_key` is in a Vault, for cosign.",
    "COSIGN_PASSWORD": "In place of GATI_SIGNING_PASSWORD, where that is not set.",
    "SIGSTORE_ID_TOKEN, ACTIONS_ID_TOKEN_REQUEST_URL, BUILDKITE_AGENT_ACCESS_TOKEN": "By CI, for `keyless`.",
    "GOOGLE_SERVICE_ACCOUNT_NAME, SPIFFE_ENDPOINT_SOCKET": "Whose token cosign gets, for `keyless`.",
    "HELM_REGISTRY_CONFIG, HELM_CONFIG_HOME, XDG_CONFIG_HOME, DOCKER_CONFIG": "Where registry logins are, as for helm.",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "The proxy of registries and forges; in small letters, too.",
    "SSL_CERT_FILE, SSL_CERT_DIR": "The authorities to believe in place of the system's.",
    "DOCKER_HOST, DOCKER_CONTEXT": "The container engine, as for docker.",
    "DOCKER_DEFAULT_PLATFORM, BUILDX_BUILDER": "Passed over: images are of the engine's platform, and built by it.",
    "KUBECONFIG": "The clusters of `--kube-context`, as for kubectl.",
    "HELM_DEBUG, HELM_KUBE..., HELM_NAMESPACE": "Passed over: flags say all that helm is to do.",
    "HELM_DRIVER, HELM_MAX_HISTORY": "As for helm; passed over by the smoke test, whose releases do not last.",
    "COMPOSE_..., GIT_TRACE..., K6_..., KIND_EXPERIMENTAL_PROVIDER, KUBERC": "The same of those programs.",
    "TMPDIR": "Where temporary files are.",
    "XDG_CACHE_HOME": "Where the user's caches are, `cache_dir` among them; passed over where it is no whole path.",
    "NO_COLOR": "Set and not empty: no colours. Where `TERM` is `dumb`, neither colours nor a view that moves.",
    "HYPOTHESIS_PROFILE": "`thorough`: the tests draw many more examples.",
}
FURTHER = {
    "dist/report.html": "what `invoke report` found, for a person",
    "dist/NAME-VERSION.tgz": "the archive; `.tgz.prov` beside it is its PGP signature",
    "dist/NAME.manifests/*.yaml": "a render each",
    "dist/release-notes.md": "what is new, how to install and verify; of several charts `dist/NAME.release-notes.md`",
    "dist/code-quality.json": "what `lint` and `kubeconform-check` found, in GitLab's form, where `GITLAB_CI` is set",
    "dist/e2e/junit.xml": "the smoke test as JUnit: a suite a scenario, a case a step",
    "dist/e2e/SCENARIO/": "`LOAD.requests.jsonl`, a line when a request begins and one when it has ended; of a failed"
    " rollout cause, events, objects, logs",
    "dist/autoscale/": "the same of `invoke autoscale`, with `curve.json` and `curve.svg` of each scenario",
    "dist/rollout/RELEASE/": "the same of `invoke rollout`; `ledger.json` is of its `--ledger`",
}
CODES = {
    0: "done, or nothing to do",
    errors.FINDING: "a check or a comparison found something",
    errors.USAGE: "the call, a variable or `[tool.gati]` cannot be meant; an unknown flag or task, too",
    errors.REFUSED: "refused: the state of the repository, the changelog, `dist/` or the registry forbids it",
    errors.OUTSIDE: "the world outside fails: registry, network, cluster, disk",
    errors.TOOL: "a tool is missing or fails",
    errors.STOPPED: "stopped by Ctrl-C; another signal ends with 128 and its number",
}

OF_CODES = """\
## JSON

`--json` prints one value on stdout: of `lint`, `kubeconform-check`, `template`, `diff`, `judge`, `e2e`, `autoscale` and
`report` that of their file in `dist/`, with `--all` or `--changed` `{"charts": [...]}`; of `release`
`{"plan": [...], "release": {...}}`, of several charts `{"releases": [...]}`; of the others the fields of what a person
sees, or `{"text": "..."}`. A failure is in it, or in its place, as an object `error`: `class`, `code`, `message`,
`expected`, `found`, `next`.

## Invoke's own flags

Invoke reads its own flags, those before a task, before it loads anything of ours: where it cannot use one of them, it
ends with 1 in its own words (`--search-root` of a folder without tasks, `--collection nope`) or with a traceback
(`--command-timeout abc`, `--list-depth x`).
"""


def page() -> str:
    """The text of the page."""
    return "\n".join(
        [
            "# Reference",
            "",
            "<!-- run by tests/pipeline/test_examples.py -->",
            "",
            "Written by `python -m tests.reference` out of the code; a test fails where they differ.",
            "",
            *("## Tasks", "", *_tasks()),
            *("## Sessions", "", "`nox -s NAME`.", "", *_sessions()),
            *("## Keys", "", *_keys(config.Config)),
            *(
                "## Keys of [e2e]",
                "",
                "What `invoke e2e` cannot find out about a chart by itself.",
                "",
                *_keys(Subject),
            ),
            *(
                "## Variables",
                "",
                "Beside `GATI_<KEY>` for each key above.",
                "",
                *_table("variable", "meaning", VARIABLES),
            ),
            *("## Files in dist/", "", "NAME is that of the chart. Each of these has a JSON schema:", "", *_files()),
            *("The others:", "", *_table("file", "what it holds", FURTHER)),
            *(
                "## Exit codes",
                "",
                *_table("code", "meaning", {str(code): text for code, text in CODES.items()}),
                OF_CODES,
            ),
        ]
    )


def _table(first: str, second: str, rows: dict[str, str]) -> Iterator[str]:
    yield f"| {first} | {second} |"
    yield "|---|---|"
    for key, text in rows.items():
        yield f"| `{key}` | {text} |"
    yield ""


def _tasks() -> Iterator[str]:
    """Each task with the flags that it has alone; before them, once, those that several take in one meaning."""
    sys.path.insert(0, str(ROOT))
    import tasks

    every = [tasks.overview, *(each for group in tasks.GROUPS.values() for each in group)]
    flags = {each.name: dict(map(_flag, each.get_arguments())) for each in every}
    taken = Counter(flag for some in flags.values() for flag in some.items())
    usual = {word: text for (word, text), times in taken.items() if times > 2}
    yield from ("Flags that several tasks take:", "", *_table("flag", "meaning", usual))
    for task in every:
        said = (inspect.getdoc(task) or "").splitlines()
        own = {word: text for word, text in flags[task.name].items() if usual.get(word) != text}
        also = ", ".join(f"`{word.partition(',')[0]}`" for word in flags[task.name] if word not in own)
        yield from (f"### {task.name}", "", said[0], "", "```sh", said[-1].removeprefix("Example: "), "```", "")
        yield from _table("flag", "meaning", own) if own else ()
        yield from (f"Also {also}.", "")


def _flag(argument: Argument) -> tuple[str, str]:
    names = [f"--{argument.names[0]}", *(f"-{short}" for short in argument.names[1:])]
    word = argument.names[0].upper() if argument.positional else ", ".join(names)
    return word, str(argument.help).replace("|", "\\|")


def _sessions() -> Iterator[str]:
    rows = {}
    for node in _SESSIONS.body:
        if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(one) for one in node.decorator_list):
            named = [word for one in node.decorator_list if isinstance(one, ast.Call) for word in one.keywords]
            name = next((ast.literal_eval(word.value) for word in named if word.arg == "name"), node.name)
            rows[name] = (ast.get_docstring(node) or "").splitlines()[0]
    yield from _table("session", "what it does", rows)


def _keys(owner: type) -> Iterator[str]:
    """Each field of a configuration with its default, as TOML has it, and the words below it in the code."""
    (node,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(node, ast.ClassDef)
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for one, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name):
            continue
        if one.target.id in config._NO_KEYS:
            continue
        said = ast.get_docstring(ast.Module([after], [])) if after is not None else None
        value = getattr(owner, one.target.id, {})  # which dataclasses keep no factory's results in
        default = json.dumps("" if value == Path() else value, default=str)
        text = " ".join((said or "").split()).replace("|", "\\|")
        yield f"| `{one.target.id}` | `{default}` | {text} |"
    yield ""


def _files() -> Iterator[str]:
    rows = {}
    for file in sorted((PAGE.parent / "schemas").glob("*.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        name, _, what = schema["title"].partition(": ")
        version = schema["properties"].get("schema_version", {}).get("const")
        numbered = f", version {version}" if version else ""
        rows[name] = f"{what} ([schema](schemas/{file.name}){numbered})"
    yield from _table("file", "what it says", rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
