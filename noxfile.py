"""The environments in which the checks and tests run; what they do is in `scripts` and `tests`."""

from __future__ import annotations

import json
import shutil
import sys

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]

# What the tests need that run without a container engine.
ENGINELESS = ("helm", "helm3", "kubeconform", "helm-docs", "crane", "registry", "oras", "toxiproxy")


def install(session: nox.Session, *groups: str) -> None:
    """Bring the session's environment to what uv.lock says of this project and of `groups`."""
    session.run_install(
        *(sys.executable, "-m", "uv", "sync", "--locked", "--quiet"),
        *(f"--group={group}" for group in groups),
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        external=True,
    )


def run_patiently(session: nox.Session, *argv: str) -> None:
    """Run what makes a cluster or containers: after Ctrl-C nox would kill it in half a second, before they are gone."""
    session.run(*argv, interrupt_timeout=180, terminate_timeout=180)


def build_tools(session: nox.Session, *names: str) -> None:
    """Build what is missing of the pinned tools before the tests, whose time-outs do not allow for that."""
    session.run("invoke", "tools", "--build", *(f"--only={name}" for name in names))


def test_on_a_cluster(session: nox.Session, marks: str) -> None:
    """Run the tests of `tests/e2e` with these marks; what their cluster is made of is built first."""
    install(session, "test")
    build_tools(session, "helm", "kind", "kubectl", "crane", "k6")
    for images in ("images", "node-image"):
        run_patiently(session, "invoke", images)
    run_patiently(session, "pytest", "-m", marks, "tests/e2e", *session.posargs)


@nox.session(tags=["check"])
def lint(session: nox.Session) -> None:
    """Check the style of the Python code, and what CI runs."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("zizmor", "--offline", "--quiet", ".github", "action.yml")
    build_tools(session, "actionlint")  # what is silent below comes with the progress of a build in it
    actionlint = session.run("invoke", "tools", "--only=actionlint", "--json", silent=True, log=False)
    session.run(json.loads(str(actionlint))[0]["where"], external=True)


@nox.session(tags=["check"])
def types(session: nox.Session) -> None:
    """Check the types of the Python code."""
    install(session, "lint", "test", "services", "browser")
    session.run("mypy")


@nox.session(tags=["check"])
def tests(session: nox.Session) -> None:
    """Run every test that needs no container engine."""
    install(session, "test", "services")
    build_tools(session, *ENGINELESS)
    engineless = "not e2e and not compose and not bench and not audit and not browser and not signed"
    # Half of what the tests do is to wait for programs and servers: two for each of two cores keep these busy. Each
    # takes a while to begin, which a few tests do not repay. A module's tests stay together, and share what they make.
    workers = "2" if session.posargs else "4"
    session.run("pytest", "-n", workers, "--dist", "worksteal", "-m", engineless, *session.posargs)


@nox.session
def signed(session: nox.Session) -> None:
    """Have cosign itself sign and check what a release attaches; building it takes 8 minutes."""
    install(session, "test")
    build_tools(session, "helm", "kubeconform", "crane", "cosign")
    session.run("pytest", "-m", "signed", "tests/release", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which branches of scripts/ the tests reach that need no container engine, and smoke tests."""
    install(session, "test", "services")
    build_tools(session, *ENGINELESS)
    folders = [f"tests/{name}" for name in ("unit", "pipeline", "registry", "release", "render", "judge")]
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "4", "-m", "not signed", *folders, *session.posargs)
    for words in (["e2e"], ["autoscale", "--scenario", "keda", "--scenario", "policies"]):
        run_patiently(session, "coverage", "run", "-m", "invoke", *words)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what runs take, and compare it with the plain tools on this machine."""
    install(session, "test", "services")
    build_tools(session, "helm", "kubeconform", "crane", "kind", "kubectl", "k6", "vegeta")
    session.run("pytest", "-m", "bench", "tests/bench", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Have kube-score and checkov judge the chart."""
    install(session, "test")
    build_tools(session, "helm", "kube-score")
    session.run("pytest", "-m", "audit", "tests/audit", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the report in a real Chromium: the system's, or the one that Playwright downloads."""
    install(session, "test", "browser")
    build_tools(session, "helm", "kubeconform")
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        session.run("playwright", "install", "--with-deps", "--only-shell", "chromium")
    session.run("pytest", "-m", "browser", "tests/browser", *session.posargs)


@nox.session
def mutate(session: nox.Session) -> None:
    """Measure the gates: which of 170 faults in the chart and in the code that decides the tests notice."""
    install(session, "test", "services")
    build_tools(session, "helm", "kubeconform", "helm-docs", "crane", "registry", "toxiproxy")
    session.run("python", "-m", "tests.mutate", *session.posargs)


@nox.session
def compose(session: nox.Session) -> None:
    """Build the reference services and run them with docker compose, through upgrade, rollback and failure."""
    install(session, "test", "services")
    build_tools(session, "compose")
    run_patiently(session, "invoke", "images")
    run_patiently(session, "pytest", "-m", "compose", "tests/compose", *session.posargs)


@nox.session
def e2e(session: nox.Session) -> None:
    """Prove the packaged chart on a kind cluster; `nox -s e2e -- --help` shows the choices."""
    install(session, "test")
    run_patiently(session, "invoke", "e2e", *session.posargs)


@nox.session
def autoscale(session: nox.Session) -> None:
    """Prove on a kind cluster with the real operators that the chart scales, is monitored, and is walled off."""
    install(session, "test")
    run_patiently(session, "invoke", "autoscale", *session.posargs)


@nox.session(name="e2e-tests")
def e2e_tests(session: nox.Session) -> None:
    """Test on a kind cluster what proves the chart: broken charts, foreign clusters, noise, the guide's commands."""
    test_on_a_cluster(session, "e2e and not faults and not shapes")


@nox.session(name="e2e-shapes")
def e2e_shapes(session: nox.Session) -> None:
    """Try the smoke test on a kind cluster with charts of other shapes, and with twins of them that have a fault."""
    test_on_a_cluster(session, "shapes")


@nox.session(name="e2e-faults")
def e2e_faults(session: nox.Session) -> None:
    """Prove on a kind cluster that the smoke test goes red for every promise that a chart breaks."""
    test_on_a_cluster(session, "faults and not further")


@nox.session(name="e2e-faults-further")
def e2e_faults_further(session: nox.Session) -> None:
    """The same with siblings of those faults: other objects and fields, told by the same looks."""
    test_on_a_cluster(session, "further")
