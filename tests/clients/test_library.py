"""The package `ctdb_event`: what it offers, and what it costs those who want only the command line."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import TIMEOUT

import ctdb_event

MODULES = sorted(
    "aio.client aio.connection aio.streams broker core ctdb decoding dialects errors failures framing inventory "
    "opening probing refusal requests results sync.client sync.connection sync.streams transport updates words".split()
)


def loaded(code: str) -> set[str]:
    """What is loaded by this code, and was not loaded before by the test's environment."""
    whole = f"import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return set(done.stdout.split())


def test_every_name_is_there_and_is_found_by_dir() -> None:
    assert sorted(set(ctdb_event.__all__)) == sorted(ctdb_event.__all__)
    for name in ctdb_event.__all__:
        value = getattr(ctdb_event, name)
        assert name in ctdb_event._PLACES["words"].split() or value.__name__ == name
        assert name in dir(ctdb_event)


def test_names_come_from_where_they_are_public() -> None:
    for module, names in ctdb_event._PLACES.items():
        assert set(names.split()) <= set(importlib.import_module(f"ctdb_event.{module}").__all__)
    placed = [name for names in ctdb_event._PLACES.values() for name in names.split()]
    assert sorted(placed) == sorted(ctdb_event.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(ctdb_event.__file__).read_text())
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    imports = [node for branch in guarded for node in branch.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names if node.module != "importlib"}
    places = {n: f"ctdb_event.{module}" for module, names in ctdb_event._PLACES.items() for n in names.split()}
    assert seen == places


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="module 'ctdb_event' has no attribute 'nonsense'"):
        ctdb_event.nonsense  # noqa: B018


def test_the_command_line_loads_none_of_it() -> None:
    costly = {"attr", "attrs", "anyio", "asyncio", "typing", "msgpack"}
    assert loaded("import ctdb_event.cli") & costly == set()
    assert loaded("import ctdb_event") & costly == set()


def test_the_blocking_client_loads_no_event_loop() -> None:
    modules = loaded("from ctdb_event import Client, EventFailed, Run")
    assert {"ctdb_event.sync.client", "ctdb_event.results"} <= modules
    assert modules & {"anyio", "asyncio", "trio", "ctdb_event.aio"} == set()


@pytest.mark.parametrize("name", MODULES)
def test_modules_say_what_is_public_and_use_nothing_else_of_one_another(name: str) -> None:
    module = importlib.import_module(f"ctdb_event.{name}")
    assert module.__doc__
    assert len(module.__doc__.splitlines()) <= 25
    assert all(hasattr(module, public) for public in module.__all__)
    assert module.__file__ is not None
    nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text())))
    guarded = [node for node in nodes if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    only_types = [child for node in guarded for child in node.body]
    for node in (node for node in nodes if node not in only_types):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ctdb_event."):
            assert {alias.name for alias in node.names} <= set(importlib.import_module(node.module).__all__)
