"""The public API: every module says what is public, has it, and gets nothing else from the others."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import ctdb_eventd

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ctdb_eventd.__path__, "ctdb_eventd.")
    if not module.ispkg and not module.name.endswith(".__main__")
)


def imports_of_ours(name: str) -> list[tuple[str, str]]:
    file = importlib.import_module(name).__file__
    assert file is not None
    nodes = ast.walk(ast.parse(Path(file).read_text()))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module in MODULES]
    return [(node.module or "", alias.name) for node in froms for alias in node.names]


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_there_and_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__) > 0
    for public in module.__all__:
        assert not public.startswith("_")
        assert hasattr(module, public), public


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_imported_that_is_not_public(name: str) -> None:
    # names for the type checker alone are outside of __all__, as they do not exist when the program runs
    hidden = [
        f"{module}.{imported}"
        for module, imported in imports_of_ours(name)
        if hasattr(importlib.import_module(module), imported)
        and imported not in importlib.import_module(module).__all__
    ]
    assert hidden == []


def test_the_package_itself_has_the_version_and_no_more() -> None:
    assert ctdb_eventd.__version__.count(".") == 2
    source = ast.parse(Path(ctdb_eventd.__file__).read_text())
    assert [type(node) for node in source.body] == [ast.Expr, ast.Assign]
