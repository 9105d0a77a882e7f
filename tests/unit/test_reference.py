"""docs/reference.md says what the code says: every task, flag, session, key, variable, file in dist/ and exit code."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.core import errors
from tests.reference import CODES, PAGE, VARIABLES, page

ROOT = Path(__file__).parents[2]
OF_CI = ("GITHUB_SERVER_URL", "GITHUB_WORKFLOW_REF", "GITHUB_REPOSITORY", "CI_PROJECT_URL")  # which nobody sets


def test_the_page_is_what_the_code_makes_of_it() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.reference"


def test_every_key_has_its_words() -> None:
    assert not re.search(r"^\| `\w+` \| `.*` \|  \|$", page(), re.MULTILINE)


def test_every_exit_code_has_its_words() -> None:
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert set(CODES) == {0, *codes}
    classes = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.ReleaseError)
    ]
    assert {each.code for each in classes if each is not errors.ReleaseError} <= codes - {errors.STOPPED}


def test_every_variable_that_the_code_knows_has_its_words() -> None:
    named = (ROOT / "scripts" / "core" / "config.py").read_text()
    found = re.search(r'_VARIABLES = re\.compile\(r"GATI_\(([^)]*)\)"\)', named)
    assert found
    known = {f"GATI_{word}" for word in found[1].split("|") if not word.startswith("TEST_")}
    code = "".join(file.read_text() for file in (ROOT / "scripts").rglob("*.py"))
    known |= set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', code)) - {"HOME", "TERM", "REQUEST_METHOD", *OF_CI}
    assert known <= {name for names in VARIABLES for name in names.split(", ")}
