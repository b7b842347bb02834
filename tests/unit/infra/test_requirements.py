"""What our wheels import is among what they ask for themselves: what another package happens to bring, it may stop to bring."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.local.layout import CHECKOUT

OURS = {"contracts", "services", "agent", "framelend"}
NEVER_IMPORTED = {"python-multipart"}
"""FastAPI asks for it by itself as soon as a route takes a form."""


def project(file: str) -> dict[str, Any]:
    return dict(tomllib.loads((CHECKOUT / file).read_text())["project"])


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(one).name) for one in requirements}


FARM, CLIENT = project("pyproject.toml"), project("client/pyproject.toml")
BASE, EXTRAS = names(FARM["dependencies"]), FARM["optional-dependencies"]
WHEELS = {
    "the renter's": (("client/framelend",), names(CLIENT["dependencies"])),
    "the farm's with agent": (("contracts", "agent"), BASE | names(EXTRAS["agent"])),
    "the farm's with services": (("contracts", "services"), BASE | names(EXTRAS["services"])),
}


def imported(folder: Path) -> Iterator[str]:
    """Top-level names of everything any file imports, wherever it does so."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


@cache
def of_others(folders: tuple[str, ...]) -> set[str]:
    found = {name for folder in folders for name in imported(CHECKOUT / folder)}
    assert found, "there is something to look at"
    return found - OURS - sys.stdlib_module_names


@cache
def brought() -> dict[str, set[str]]:
    """Top-level module → the distributions that bring one of this name; several may share it."""
    return {name: {canonicalize_name(one) for one in by} for name, by in packages_distributions().items()}


def providers(name: str) -> set[str]:
    return brought().get(name, {name})


@pytest.mark.parametrize("wheel", WHEELS)
def test_all_that_a_wheel_imports_it_asks_for(wheel: str) -> None:
    folders, asked = WHEELS[wheel]
    assert {name for name in of_others(folders) if not providers(name) & asked} == set()


@pytest.mark.parametrize("wheel", WHEELS)
def test_all_that_a_wheel_asks_for_it_imports(wheel: str) -> None:
    folders, asked = WHEELS[wheel]
    used = {one for name in of_others(folders) for one in providers(name)}
    assert asked - used - NEVER_IMPORTED == set()
