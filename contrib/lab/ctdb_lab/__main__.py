"""The lab's command line; called by `make lab` and the related targets."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import attrs

from ctdb_lab.errors import LabError
from ctdb_lab.failover import check_for_failover, demonstrate
from ctdb_lab.lab import Lab, take_down
from ctdb_lab.plan import Plan, eventd_path
from ctdb_lab.show import status

_DEFAULT = attrs.fields_dict(Plan)
_BROKEN_PIPE = 141
"""Exit status after SIGPIPE, as in shells."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ctdb_lab", description="A cluster of ctdbd nodes on this machine.")
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path("/tmp/ctdb-lab"),
        help="its directory, which also identifies it (%(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring it up and wait until it is healthy")
    for name, what in (("nodes", "nodes"), ("addresses4", "public IPv4 addresses"), ("addresses6", "and IPv6")):
        up.add_argument(f"--{name}", type=int, default=_DEFAULT[name].default, help=f"{what} (%(default)s)")
    up.add_argument("--samba", action="store_true", help="with an smbd on each node, which 50.samba starts and watches")
    up.add_argument("--eventd", default="ours", help="`ours`, `ctdb` for CTDB's own, or a path (%(default)s)")
    commands.add_parser("status", help="which node hosts which address, and the state of each node")
    commands.add_parser("failover", help="take a node out and in again in every way, with times")
    commands.add_parser("down", help="end it and remove all traces, also of a lab that started only in part")
    return parser


def _up(options: argparse.Namespace) -> None:
    plan = Plan(
        eventd=eventd_path(options.eventd),
        nodes=options.nodes,
        addresses4=options.addresses4,
        addresses6=options.addresses6,
        samba=options.samba,
    )
    lab = Lab(options.directory, plan)
    addresses = f"{plan.addresses4} IPv4 and {plan.addresses6} IPv6 addresses"
    print(f"Starting {plan.nodes} nodes with {addresses}; {plan.eventd}")
    print("Waiting until all are healthy, which takes some 20 seconds", flush=True)
    lab.up(detached=True)
    try:
        seconds = lab.wait_until_healthy()
    except BaseException:
        lab.down()
        raise
    lab.close()
    print(f"Healthy after {seconds:.0f} s. Next: make lab-status, make lab-failover, make lab-down", flush=True)


def _status(options: argparse.Namespace) -> None:
    for line in status(Lab.attach(options.directory)):
        print(line, flush=True)


def _failover(options: argparse.Namespace) -> None:
    lab = Lab.attach(options.directory)
    check_for_failover(lab)
    print("Waiting until all nodes are healthy", flush=True)
    lab.wait_until_healthy()
    print(f"{'step':<42} {'addresses moved':>16} {'seconds':>8}", flush=True)
    # closed at once if this is interrupted, so that the node is taken back in
    with contextlib.closing(demonstrate(lab)) as steps:
        for step in steps:
            print(f"{step.what:<42} {step.moved:>16} {step.seconds:>8.2f}", flush=True)
            for line in step.failed:
                print(f"    {line}", flush=True)


def _down(options: argparse.Namespace) -> None:
    was_there = take_down(options.directory)
    print("The lab is gone, and all of its files" if was_there else f"There is no lab in {options.directory}")


_COMMANDS = {"up": _up, "status": _status, "failover": _failover, "down": _down}


def _interrupt(number: int, _: FrameType | None) -> None:
    # as an exception, so that a lab that is only partly up is taken down
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        _COMMANDS[options.command](options)
    except BrokenPipeError:
        # the reader needs no more output; the interpreter must not fail to flush the rest when it ends
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return 0 if options.command == "status" else _BROKEN_PIPE
    except (LabError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
