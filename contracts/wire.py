"""What comes off the wire and cannot be read must not end the connection it came on: no agent may choose that for a service.

An agent writes its messages' properties, and on an inbox to which CC leads also the routing key; the broker passes on what pamqp
cannot decode: a time beyond the calendar, names that are not UTF-8, headers nested deeper than Python goes. aiormq's reader ends
with that (`FrameReceiver.get_frame`, and with it the connection of everybody else's messages), the message was never answered,
and comes first again. So here such a message arrives without its properties: it has no sender then, the inboxes refuse it, and
hold it against the first word of its routing key, as they do with every other forged envelope.

aiormq asks for no decoder and names its reader itself, and FastStream makes connections of its own; but both look this one
function up at each frame, so that putting ours in its place (contracts/bus.py does, once) reaches them all, the agent's too.
"""

import struct

import pamqp.frame
from pamqp import commands as spec
from pamqp.constants import FRAME_END, FRAME_HEADER, FRAME_HEADER_SIZE, FRAME_METHOD
from pamqp.exceptions import PAMQPException
from pamqp.frame import FrameTypes
from pamqp.header import ContentHeader

MOST_HEADER_BYTES = 16_384
"""Of all properties together: the longest of ours, a parked message's with a stranger's words in it, has two thirds of that.
pamqp copies what is left of them at every entry, half a second for the 128 KiB that fit into a frame."""
_UNREADABLE = (PAMQPException, ValueError, ArithmeticError, LookupError, TypeError, struct.error, OSError, RecursionError)
"""What pamqp raises over a frame that has come whole: its own, and what it does not catch (a time beyond the C library's)."""
_CONTENT_HEADER = struct.Struct(">HHQ")
_DELIVER = struct.pack(">I", spec.Basic.Deliver.index)

strict = pamqp.frame.unmarshal


def unmarshal(data_in: bytes) -> tuple[int, int, FrameTypes]:
    """As pamqp's, but a content header that cannot be read has no properties, and a delivery's key may hold any bytes."""
    kind, channel, size = pamqp.frame.frame_parts(data_in)
    if kind == FRAME_HEADER and size is not None and size > MOST_HEADER_BYTES and _is_whole(data_in, size):
        return _bare(data_in, channel, size)
    try:
        return strict(data_in)
    except _UNREADABLE:
        if size is None or not _is_whole(data_in, size):
            raise
        if kind == FRAME_HEADER and size >= _CONTENT_HEADER.size:
            return _bare(data_in, channel, size)
        if kind == FRAME_METHOD and data_in.startswith(_DELIVER, FRAME_HEADER_SIZE):
            return _end(size), channel, _delivery(data_in[FRAME_HEADER_SIZE + len(_DELIVER) :])
        raise


def _end(size: int) -> int:
    return FRAME_HEADER_SIZE + size + 1


def _is_whole(data: bytes, size: int) -> bool:
    return len(data) >= _end(size) and data[_end(size) - 1] == FRAME_END


def _bare(data: bytes, channel: int, size: int) -> tuple[int, int, ContentHeader]:
    """With the size of the body, by which its frames are counted."""
    _, _, body = _CONTENT_HEADER.unpack_from(data, FRAME_HEADER_SIZE)
    return _end(size), channel, ContentHeader(0, body, spec.Basic.Properties())


def _delivery(words: bytes) -> spec.Basic.Deliver:
    """Consumer and exchange have names of ours; the key begins with its sender's, which the broker has checked."""
    consumer, words = _short(words)
    tag, redelivered = struct.unpack_from(">QB", words)
    exchange, words = _short(words[9:])
    key, _ = _short(words)
    return spec.Basic.Deliver(consumer, tag, bool(redelivered & 1), exchange, key)


def _short(words: bytes) -> tuple[str, bytes]:
    end = 1 + words[0]
    return words[1:end].decode(errors="replace"), words[end:]


def take_pamqps_place() -> None:
    pamqp.frame.unmarshal = unmarshal
