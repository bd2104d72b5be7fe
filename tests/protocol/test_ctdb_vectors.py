"""Every captured packet, decoded and encoded again: the bytes come out as they went in."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from client_end import decode_reply, encode_request

from ctdb_eventd.model import DISABLED, SIGNALLED, TIMED_OUT
from ctdb_eventd.protocol import ctdb
from ctdb_eventd.protocol.messages import RunReply, RunRequest, StatusReply, StatusRequest

_FILE = Path(__file__).parent.parent / "data" / "wire-vectors.json"


@attrs.frozen
class Exchange:
    """A command that went over the wire, and the packets of it."""

    command: list[str]
    """The arguments of ctdb-event."""
    request: bytes
    reply: bytes


EXCHANGES = [
    Exchange(vector["command"].split()[1:], bytes.fromhex(vector["request"]), bytes.fromhex(vector["reply"]))
    for vector in json.loads(_FILE.read_text())
    if "request" in vector
]

every_exchange = pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: " ".join(exchange.command))


def _status(*command: str) -> StatusReply:
    """The last captured status of an event."""
    found = [exchange.reply for exchange in EXCHANGES if exchange.command == ["status", *command]]
    _, reply = decode_reply(found[-1])
    assert isinstance(reply, StatusReply)
    return reply


def _results(reply: StatusReply) -> dict[str, int]:
    assert reply.report is not None
    return {script.name: script.result for script in reply.report.scripts}


def test_the_captures_are_there() -> None:
    """An empty list would pass every test below."""
    assert len(EXCHANGES) == 22


@every_exchange
def test_request_round_trip(exchange: Exchange) -> None:
    """What CTDB's command line sent."""
    assert encode_request(*ctdb.decode_request(exchange.request)) == exchange.request


@every_exchange
def test_reply_round_trip(exchange: Exchange) -> None:
    """What CTDB's daemon answered."""
    assert ctdb.encode(*decode_reply(exchange.reply)) == exchange.reply


@every_exchange
def test_request_says_what_the_command_asked_for(exchange: Exchange) -> None:
    """The fields are the command's words: a round trip alone would hold with two fields swapped."""
    _, request = ctdb.decode_request(exchange.request)
    word, *rest = exchange.command
    if word == "run":
        timeout, component, event, *args = rest
        assert isinstance(request, RunRequest)
        spec = request.spec
        assert spec.timeout == (int(timeout) if timeout.isdecimal() else 0)
        assert [spec.component, spec.event, *spec.args] == [component, event, *args]
        assert not spec.run_all
    else:
        assert isinstance(request, StatusRequest)
        assert [request.component, request.event] == rest


@every_exchange
def test_reply_matches_its_request(exchange: Exchange) -> None:
    """The same number, and the reply of the right kind."""
    request_id, request = ctdb.decode_request(exchange.request)
    reply_id, reply = decode_reply(exchange.reply)
    assert reply_id == request_id
    assert isinstance(reply, RunReply if isinstance(request, RunRequest) else StatusReply)


def test_results_of_scripts() -> None:
    """The numbers that say why there is no exit status."""
    assert _results(_status("legacy", "monitor")) == {
        "00.ok": DISABLED,
        "10.echo": 0,
        "20.off": DISABLED,
        "30.after": 0,
    }
    assert _results(_status("legacy", "fail")) == {"00.ok": 0, "10.echo": 7}
    assert _results(_status("legacy", "hang")) == {"00.ok": 0, "10.echo": TIMED_OUT}
    assert _results(_status("legacy", "sig")) == {"00.ok": 0, "10.echo": SIGNALLED}


def test_report_of_a_failure() -> None:
    """Summary, times and output of a captured failure."""
    report = _status("legacy", "fail").report
    assert report is not None
    assert report.summary == 7
    script = report.scripts[1]
    assert script.output == b"bad\n"
    assert script.end - script.begin == 0x0E257F - 0x0E1D11
