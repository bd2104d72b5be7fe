"""Names that come from outside: none of them leaves its directory."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd.errors import InvalidName
from ctdb_eventd.names import NAME_MAX, check_name


@given(st.text(max_size=300))
def test_checked_names_stay_in_their_directory(name: str) -> None:
    try:
        check_name("script", name)
    except InvalidName:
        assert name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > NAME_MAX
    except UnicodeEncodeError:
        # lone surrogates that no byte stands for; names from the wire are decoded with surrogateescape
        assert any("\ud800" <= character <= "\udfff" for character in name)
    else:
        assert os.path.basename(os.path.normpath(f"/scripts/{name}")) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("a/b", "it contains a slash"),
        ("a\0b", "it contains a NUL"),
        (".", "it is a directory's own name"),
        ("..", "it is a directory's own name"),
        ("x" * 256, "it is longer than 255 bytes"),
        ("é" * 128, "it is longer than 255 bytes"),
    ],
)
def test_refused_names(name: str, reason: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_name("component", name)
    assert (caught.value.kind, caught.value.name, caught.value.reason) == ("component", name, reason)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "...", "legacy", "\udcff"])
def test_accepted_names(name: str) -> None:
    check_name("component", name)
