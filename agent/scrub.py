"""The tail of a container's stderr as strangers may read it: bounded, without paths of this machine, addresses or secrets."""

import re

TAIL_CHARACTERS = 6_000

_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://\S+")
_PATH = re.compile(r"(?<![\w/])/(?!in/|out/|opt/bpy/|opt/framelend/)[\w.@+-]+(?:/[\w.@+-]+)+")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_SECRET = re.compile(r"\b[A-Za-z0-9+/_-]{32,}={0,2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")
_NOISE = re.compile(r"^Add-on not loaded: .*$\n?", re.MULTILINE)


def tail(stderr: str) -> str:
    """The end of it, from the beginning of a line."""
    text = _CONTROL.sub("", _NOISE.sub("", stderr))
    for pattern, instead in ((_URL, "<address>"), (_PATH, "<path>"), (_ADDRESS, "<address>"), (_SECRET, "<…>")):
        text = pattern.sub(instead, text)
    return text if len(text) <= TAIL_CHARACTERS else text[-TAIL_CHARACTERS:].split("\n", 1)[-1]
