"""Finds what should not leave the house in a chart's archive: keys, passwords, logins, the inside of a repository."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping

from scripts.core.errors import SecretError
from scripts.core.words import some

_REPOSITORY = "the inside of a repository"
# By a folder or file name, whatever it holds. A name is compared in lower case.
_FOLDERS = {
    **dict.fromkeys((".git", ".hg", ".svn", ".bzr", ".jj", ".sl", ".pijul", "_darcs"), _REPOSITORY),
    **dict.fromkeys((".ssh", ".gnupg"), "keys"),
    **dict.fromkeys((".kube", ".aws", ".azure", ".gcloud", ".docker"), "a login"),
    **dict.fromkeys((".terraform", ".direnv"), "a program's private state"),
}
_NAMES = (
    (("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_*_sk", "*.ppk"), "a private key"),
    (("*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.asc.key", "secring.*"), "a key or a key store"),
    ((".env", ".env.*", "*.env", ".envrc"), "an environment file"),
    (("kubeconfig", "kubeconfig.*", "*.kubeconfig", "kubeconfig-*"), "a kubeconfig"),
    ((".dockercfg", ".dockerconfigjson", "dockerconfig.json", ".docker-config.json"), "a login for a registry"),
    ((".netrc", "_netrc", ".git-credentials", ".pypirc", ".npmrc", ".htpasswd", ".pgpass", ".my.cnf"), "a login"),
    ((".s3cfg", ".boto", ".mylogin.cnf"), "a login"),
    (("*.tfstate", "*.tfstate.*", "*.tfvars", ".vault-token", ".vault_pass*", "*.agekey"), "a secret"),
    (
        ("secrets.yaml", "secrets.yml", "secrets.*.yaml", "secrets.*.yml", "*.dec.yaml", "*.dec.yml"),
        "decrypted secrets",
    ),
)
_PARTS = ("Chart.yaml", "values.yaml", "values.schema.json", "templates/", "crds/")  # without which it is another chart
_HARMLESS = ("*.example", "*.sample", "*.template", "*.dist", "*.pub", "*.tpl")
# What is no secret by its name: what is encrypted, and a definition, whose file begins with its group.
_PUBLIC = re.compile(rb"^sops:\s*$|^kind: (?:SealedSecret|CustomResourceDefinition)\b", re.MULTILINE)
# By content: why, and the patterns. What a comment or a page quotes has no key after its heading, or dots in it.
_CONTENT = (
    (
        "a private key",
        rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?![^-]*\.\.\.)(?:\s|\\n|#)*[A-Za-z0-9+/=]{40}",
        rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(?:Proc-Type|Comment|Version):",
        # The same in base64, as Secrets have it: what follows "-----BEGIN ", longer than two lines without a key.
        rb"LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVkFUR|BFQyBQUklWQVRF|BPUEVOU1NIIFBSSVZBVE|BFTkNSWVBURUQg)"
        rb"(?:\s*[A-Za-z0-9+/]){100}",
        rb"PuTTY-User-Key-File-\d",
        rb"\bAGE-SECRET-KEY-1[0-9A-Z]{50}",
    ),
    (_REPOSITORY, rb"(?m)^\s*repositoryformatversion\s*="),
    ("a kubeconfig", rb"(?m)^\s*(?:client-key-data|client-certificate-data):\s*[A-Za-z0-9+/=]{40}"),
    (
        "a login for a registry",
        rb'"auths"\s*:\s*\{[^{}]*\{[^{}]*"(?:auth|password|identitytoken)"\s*:\s*"[^"{%]',
    ),
    (
        "a token",
        rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60}|gl(?:pat|rt|dt|ptt)-[A-Za-z0-9_-]{20})",
        rb"https://hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20}",
        rb"\b(?:sk-(?:proj|ant)-[\w-]{40}|dop_v1_[0-9a-f]{64}|SG\.[\w-]{22}\.[\w-]{43})",
        rb"\b(?:xox[abprs]-[A-Za-z0-9-]{20}|npm_[A-Za-z0-9]{36}|hvs\.[A-Za-z0-9_-]{24})",
        rb"\b(?:dckr_pat_[A-Za-z0-9_-]{20}|pypi-AgEI[A-Za-z0-9_-]{50}|sk_live_[A-Za-z0-9]{20})",
    ),
    (
        "an access key",
        # But for what AWS writes in its own pages, and Azurite's, which everybody has.
        rb"(?i)\baws_secret_access_key\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}\b(?<!EXAMPLEKEY)",
        rb"\bA[KS]IA[0-9A-Z]{16}\b(?<!EXAMPLE)",
        rb"\b(?:AccountKey|SharedAccessKey)=(?!Eby8vdM02xN)[A-Za-z0-9+/]{43,86}=",
    ),
    # Words that stand for a password, as YOUR_TOKEN does, are none.
    ("an address with a password", rb"https?://[^\s/:@]+:(?!(?:[A-Z_]+|password|secret)@)[^\s/:@{}<>$*]{6,}@[\w.-]+"),
)
# As YAML or JSON.
_KUBECONFIG = tuple(
    re.compile(rb"(?:^|[{,]\s*)\"?" + key, re.MULTILINE)
    for key in (rb"kind\"?\s*:\s*\"?Config\"?\s*(?:[,}]|$)", rb"clusters\"?\s*:", rb"users\"?\s*:")
)


def refuse_secrets(members: Mapping[str, bytes], meant: Iterable[str]) -> None:
    """Raises SecretError naming `members` that look like secrets, but for those that `meant` (names, patterns) has."""
    allowed = tuple(pattern.rstrip("/") for pattern in meant)
    reasons: dict[str, str] = {}
    for name, content in members.items():
        whole = name.partition("/")[2].split("/")
        for short, why in _reasons(whole, content):
            if not any(fnmatch.fnmatchcase(each, pattern) for each in (short, "/".join(whole)) for pattern in allowed):
                reasons.setdefault(short, why)
    if found := list(reasons.items()):
        first, chart = found[0][0], next(iter(members)).partition("/")[0]
        ways = (("charts/", "take it out of that dependency"), (_PARTS, "take it out of that file"))
        way = next((way for begin, way in ways if first.startswith(begin)), "name it in .helmignore")
        raise SecretError(
            f"the archive would hold what looks like a secret: {first}",
            expected="nothing secret: what is published is public, and stays so",
            found="\n".join(some(f"{chart}/{name} ({why})" for name, why in found)),
            run=f"{way}; if it is meant: GATI_MEANT_FILES={first}, or meant_files in [tool.gati]",
        )


def _reasons(parts: list[str], content: bytes) -> Iterator[tuple[str, str]]:
    """What of a file, or the folder it is in, looks like a secret, and why."""
    for count, part in enumerate(parts, 1):
        if part.lower() in _FOLDERS:
            yield "/".join(parts[:count]), _FOLDERS[part.lower()]
            return
    last, name = parts[-1].lower(), "/".join(parts)
    public = _PUBLIC.search(content) is not None
    plain = any(fnmatch.fnmatchcase(last, pattern) for pattern in _HARMLESS)
    if not (plain or public or "templates" in parts):
        for patterns, why in _NAMES:
            if any(fnmatch.fnmatchcase(last, pattern) for pattern in patterns):
                yield name, why
    if "templates" not in parts and all(line.search(content) for line in _KUBECONFIG):  # which a template fills in
        yield name, "a kubeconfig"
    yield from ((name, why) for why, *patterns in _CONTENT if any(re.search(pattern, content) for pattern in patterns))
