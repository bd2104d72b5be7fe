"""What scripts inherit of the daemon's start: working directory and umask, the same from either daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from .private_base import Base, running_daemon
from .programs import Maker

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(("directory", "umask"), [("/", "0022"), ("/usr/share", "0027"), ("/", "0000")])
def test_working_directory_and_umask_are_those_of_the_daemons_start(tmp_path: Path, directory: str, umask: str) -> None:
    seen = {}
    for maker in Maker:
        base = Base.create(tmp_path / maker.name)
        report = base.directory / "report"
        script = base.directory / "events/legacy/05.report.script"
        script.write_text(f"#!/bin/sh\n{{ pwd -P; umask; }} >{report}\n")
        script.chmod(0o755)
        starter = base.directory / "starter"
        starter.write_text(f'#!/bin/sh\numask {umask}\ncd {directory}\nexec {maker.daemon} "$@"\n')
        starter.chmod(0o755)
        with running_daemon(str(starter), base):
            assert base.command(maker.cli, "run", "30", "legacy", "ok").exit == 0
        seen[maker] = report.read_text().split()
    assert seen == {maker: [directory, umask] for maker in Maker}
