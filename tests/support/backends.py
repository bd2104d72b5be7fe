"""Runs an asynchronous test under asyncio and under trio."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from nodes import TIMEOUT

__all__ = ["on_both_backends"]


def on_both_backends(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Makes a test of an asynchronous function with fixtures, run once by each event loop library."""

    def run(*, backend: str, **fixtures: Any) -> None:
        async def main() -> None:
            with anyio.fail_after(TIMEOUT):
                await test(**fixtures)

        anyio.run(main, backend=backend)

    functools.update_wrapper(run, test)
    del run.__wrapped__  # type: ignore[attr-defined]  # pytest must see the signature below
    kind = inspect.Parameter.KEYWORD_ONLY
    names = [parameter.replace(kind=kind) for parameter in inspect.signature(test).parameters.values()]
    run.__signature__ = inspect.Signature([*names, inspect.Parameter("backend", kind)])  # type: ignore[attr-defined]
    marked: Callable[..., None] = pytest.mark.parametrize("backend", ["asyncio", "trio"])(run)
    return marked
