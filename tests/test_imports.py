"""Who may import whom: the map of the system, held against every module."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: package -> packages of ours that it may import; siblings meet in the database, through events
MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "mobile": {"domain"},
    "ingest": {"domain"},
    "warning": {"domain"},
    "enforcement": {"domain"},
    "server": {"domain", "warning", "enforcement"},
}

#: what the phone cannot have: there are no wheels for Android
NOT_ON_PHONES = {"numpy", "shapely", "pydantic", "psycopg", "lxml"}

#: modules that python-for-android puts there, not pip
ANDROID = {"jnius", "android"}

MODULES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def third_party(package: str) -> set[str]:
    """Return the modules of the distributions that the package's extra in pyproject.toml names."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {plain(re.split(r"[\[<>=! ;]", line, maxsplit=1)[0]) for line in extras.get(package, [])}
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if named & {plain(distribution) for distribution in distributions}
    }
    # one that is not installed here (kivy needs a screen's libraries) is known by its name
    return modules | {name.replace("-", "_") for name in named} | (ANDROID if package == "mobile" else set())


def plain(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported(source: str) -> Iterator[str]:
    """Yield the top-level modules that the source imports when it runs, in functions too."""
    todo: list[ast.AST] = [ast.parse(source)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module:
                yield node.module.split(".")[0]
        else:
            todo += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    allowed = {package, *MAY_IMPORT[package], *third_party(package), *sys.stdlib_module_names}
    assert not set(imported(path.read_text())) - allowed


@pytest.mark.parametrize("package", ["domain", "mobile"])
def test_what_ships_to_the_phone_runs_there(package: str) -> None:
    assert not third_party(package) & NOT_ON_PHONES


def test_the_domain_needs_the_standard_library_only() -> None:
    assert third_party("domain") == set()


def test_every_package_stands_in_the_map() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(MAY_IMPORT)


def test_the_walk_sees_every_form_of_import() -> None:
    source = (
        "from __future__ import annotations\n"
        "import a.b, c as x\n"
        "from typing import TYPE_CHECKING\n"
        "from . import near\n"
        "from d.e import f\n"
        "if TYPE_CHECKING:\n    import unseen\nelse:\n    import g\n"
        "def later():\n    import h\n"
        "try:\n    import i\nexcept ImportError:\n    import j\n"
    )
    assert set(imported(source)) == {*"acdghij", "typing", "__future__"}
