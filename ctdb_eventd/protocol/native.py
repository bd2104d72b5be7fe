"""The native dialect: decodes requests and encodes replies.

`frames.py` has its grammar; this module converts the messages of `messages.py`. Whole frames only; `connection.py`
splits the stream.
"""

from __future__ import annotations

from functools import lru_cache
from weakref import WeakKeyDictionary

from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.messages import Call, Failure, Note, Notes, Packed, Reply, Result
from ctdb_eventd.text import shown

__all__ = ["decode_request", "encode"]


def encode(request_id: int, reply: Reply) -> bytes:
    """Encodes a reply as one whole frame; several notes as one frame each.

    Raises:
        LocalProtocolError: It contains something that can't be encoded, or is not a reply of this dialect.
    """
    match reply:
        case Result():
            value = reply.value
            return frames.result(request_id, value.data if type(value) is Packed else frames.packed(value))
        case Notes():
            return _encode_notes(request_id, reply)
        case Note(kind, number, details):
            return frames.note(request_id, kind, number, details)
        case Failure(code, text, data):
            return frames.error(request_id, code, text, data)
        case _:
            raise LocalProtocolError(f"{type(reply).__name__} is of the CTDB dialect, this is the native one")


# Subscribers to the same events get the same notes, most of them with the same id: that of a connection's first call.
_encoded: WeakKeyDictionary[Notes, dict[int, bytes]] = WeakKeyDictionary()


def _encode_notes(request_id: int, message: Notes) -> bytes:
    by_id = _encoded.setdefault(message, {})
    data = by_id.get(request_id)
    if data is None:
        data = b"".join(frames.note(request_id, note.kind, note.number, note.data) for note in message.notes)
        by_id[request_id] = data
    return data


def decode_request(data: bytes) -> tuple[int, Call]:
    """Decodes one whole frame of a client to its request id and the request. Unknown keys are ignored.

    Raises:
        RemoteProtocolError: It is not a request.
    """
    return _decode_usual_request(data) if len(data) <= _USUAL_SIZE else _decode_request(data)


def _decode_request(data: bytes) -> tuple[int, Call]:
    request_id, content = frames.unpack(data)
    method, params = content.get("method"), content.get("params", {})
    if not isinstance(method, str):
        raise RemoteProtocolError(f"a request names its method as text, not as {shown(method)}")
    if not isinstance(params, dict) or not all(isinstance(key, str) for key in params):
        raise RemoteProtocolError(f"the params of a request are a map with text for keys, not {shown(params)}")
    return request_id, Call(request_id, method, params)


# A client that repeats a request, one at a time, uses the same id: requests are values, so the same bytes can be
# decoded to the same object. Nobody changes the params of one. The cache is small, as 200 bytes of empty lists become
# 15 KB.
_USUAL_SIZE = 256
_decode_usual_request = lru_cache(maxsize=256)(_decode_request)
