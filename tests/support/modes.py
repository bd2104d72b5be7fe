"""The umask, and the permissions that files have from their first moment on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

__all__ = ["modes_at", "umask"]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Runs the block with this umask."""
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


@contextmanager
def modes_at(module: ModuleType, name: str) -> Iterator[list[int]]:
    """Collects the permissions that each file has when this function is called with its descriptor in the block."""
    modes: list[int] = []
    real = getattr(module, name)

    def call(descriptor: int, argument: Any) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        real(descriptor, argument)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, call)
        yield modes
