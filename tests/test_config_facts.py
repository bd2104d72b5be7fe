"""What our daemon makes of unusual lines in ctdb.conf; tests/interop/test_configuration.py has CTDB's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from config_facts import FACTS, Fact

from ctdb_eventd.config import Config, load
from ctdb_eventd.errors import ConfigError, StartupError
from ctdb_eventd.logs import Log
from ctdb_eventd.paths import Paths


@pytest.fixture(params=FACTS)
def fact(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fact:
    found = FACTS[request.param]
    (tmp_path / "run").mkdir()
    found.lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    return found


def taken(base: Path) -> Config | str:
    """What the daemon goes by, or why it doesn't start."""
    try:
        return load(f"{base}/ctdb.conf")
    except ConfigError as error:
        return str(error)


def placed(text: str | None, base: Path) -> str | None:
    return None if text is None else text.replace("@", os.fspath(base))


def test_what_is_taken_and_what_is_said_about_it(fact: Fact, tmp_path: Path) -> None:
    config = taken(tmp_path)
    if fact.error is not None and fact.error[0].isdigit():
        assert config == f"{tmp_path}/ctdb.conf:{placed(fact.error, tmp_path)}"
        return
    assert isinstance(config, Config), config
    assert config.warnings == tuple(f"{tmp_path}/ctdb.conf:{placed(text, tmp_path)}" for text in fact.warnings)
    assert config.log_level == (fact.level or "NOTICE")
    if fact.error is None:
        assert config.log_location == placed(fact.location, tmp_path)
    assert config.debug_script == fact.debug_script


@pytest.mark.usefixtures("root_logger")
def test_what_ctdbs_daemon_starts_with_ours_starts_with(
    fact: Fact, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = taken(tmp_path)
    if not fact.starts and fact.error is None:
        assert isinstance(config, Config)  # ours is the more tolerant one
    if isinstance(config, str):
        assert not fact.starts
        return
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(tmp_path)}
    log = Log(environ, Paths(environ))
    if fact.error is not None:
        with pytest.raises(StartupError) as caught:
            log.startup(config)
        assert str(caught.value) == placed(fact.error, tmp_path)
        assert not fact.starts
        return
    log.startup(config)
    assert ("; the log goes to standard error instead" in capfd.readouterr().err) is fact.log_fails
