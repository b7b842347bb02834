"""Words of a stranger's program as other strangers may read them: bounded, and without what belongs to this machine or its owner.

What is known here (the owner's name and home, the machine's name, secrets in the environment) is taken out wherever it stands;
what only looks like an address, a path, a credential or a token goes by its look. Rather a word too many than a secret. The text
is a stranger's, so it is cut before it is searched, and no pattern may take long on any of it.
"""

import os
import pwd
import re
import socket
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

TAIL_BYTES = 8_000
SEARCHED = 3
"""As much of the end is searched, in tails: most of a log is noise that falls away."""
SHORTEST_WORD = 3
"""Of what is known: a shorter user name would tear words apart, and tells nothing."""
SHORTEST_SECRET = 6
NAME = "<name>"
HARMLESS_NAMES = frozenset({"root", "localhost", "home", "user", "agent", "render", "blender", "framelend"})
SECRET_NAMES = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|COOKIE|_URL$|_DSN$", re.IGNORECASE)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_NOISE = re.compile(r"^Add-on not loaded: .*$\n?", re.MULTILINE)
_TRIVIA = re.compile(
    r"^OpenImageIO exited with a pending error message that was never\nretrieved via OIIO::geterror\(\)\..*$\n?", re.MULTILINE
)
_HEX = r"[0-9a-f]{1,4}"

_LOOKS = (
    (re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}:/{1,2}[^\s'\"<>]+"), "<address>"),  # whatever has a scheme, with its query
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{6,}"), "<secret>"),
    (
        re.compile(
            r"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|credential|authorization|signature)[\w-]{0,40}"
            r"['\"]?\s*[=:]\s*(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&]+)"
        ),
        "<secret>",
    ),
    (re.compile(r"\bX-(?:Amz|Goog)-[\w-]+=[^\s&]+"), "<secret>"),
    (re.compile(r"\beyJ[\w-]{6,400}\.[\w-]+\.?[\w-]*|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "<secret>"),
    (re.compile(r"(?i)\b[a-z]:\\(?:[^\s\\'\"]+\\)*[^\s\\'\"]*"), "<path>"),
    (re.compile(r"\\\\[^\s'\"]+"), "<path>"),
    (re.compile(r"(?<![\w/<])~?/(?!in/|out/|tmp/|opt/bpy/|opt/framelend/)[\w.@+~-]+(?:/[\w.@+~-]*)+"), "<path>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)*"), "<address>"),
    (re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{1,5})?(?![\d.])"), "<address>"),
    (re.compile(rf"(?i)(?<![\w:.])(?:{_HEX}:){{7}}{_HEX}(?![\w:])"), "<address>"),
    (re.compile(rf"(?i)(?<![\w:.])(?:{_HEX}(?::{_HEX}){{0,6}})?::(?:{_HEX}(?::{_HEX}){{0,6}})?(?![\w:])"), "<address>"),
    (re.compile(r"\b[A-Za-z0-9+/_-]{32,}={0,2}"), "<…>"),
)
"""In this order: an address goes whole before its parts are looked at."""


class Scrubber:
    """`known`: words that must not be seen, each with what stands in its place."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        words = sorted(known or {}, key=len, reverse=True)
        self._known = {word.lower(): instead for word, instead in (known or {}).items()}
        parts = "|".join(_whole(word) if self._known[word.lower()] == NAME else re.escape(word) for word in words if word)
        self._pattern = re.compile(parts, re.IGNORECASE) if parts else None

    def words(self, text: str) -> str:
        """Of any length, in one pass over each pattern."""
        text = _CONTROL.sub("", text)
        if self._pattern is not None:
            text = self._pattern.sub(lambda found: self._known.get(found.group().lower(), "<…>"), text)
        for pattern, instead in _LOOKS:
            text = pattern.sub(instead, text)
        return text

    def tail(self, stderr: str, most_bytes: int = TAIL_BYTES) -> str:
        """The end of it, from the beginning of a line, as at most so many bytes of UTF-8."""
        end = _cut(stderr, SEARCHED * most_bytes)
        return bounded(self.words(_TRIVIA.sub("", _NOISE.sub("", end))), most_bytes)


def _cut(text: str, most: int) -> str:
    """The last characters, without the word that the cut goes through: half a secret does not look like one."""
    if len(text) <= most:
        return text
    end = text[-most:]
    parts = end.split("\n", 1) if "\n" in end else end.split(None, 1)
    return parts[1] if len(parts) > 1 else ""


def _whole(name: str) -> str:
    """A name within other letters is another word."""
    return rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"


def bounded(text: str, most_bytes: int = TAIL_BYTES) -> str:
    """The last bytes, never half a character, and whole lines where there is more than one."""
    encoded = text.encode("utf-8", errors="replace")
    if len(encoded) <= most_bytes:
        return text
    cut = encoded[-most_bytes:].decode("utf-8", errors="ignore")
    return cut.split("\n", 1)[-1] if "\n" in cut.rstrip("\n") else cut


@cache
def here() -> Scrubber:
    """With what is known of this machine and this process."""
    return Scrubber(known_here(os.environ))


def tail(stderr: str) -> str:
    """The end of a container's stderr, for others."""
    return here().tail(stderr)


def words(text: str) -> str:
    """A sentence of this machine (Docker's, the kernel's), for others."""
    return here().words(text)


def known_here(environment: Mapping[str, str]) -> dict[str, str]:
    """Secrets, homes, user names and host names."""
    known = dict.fromkeys(_secrets(environment), "<secret>")
    for home in _homes(environment):
        known.setdefault(home, "<path>")
    for name in _names(environment):
        if len(name) >= SHORTEST_WORD and name.lower() not in HARMLESS_NAMES:
            known.setdefault(name, NAME)
    return known


def _secrets(environment: Mapping[str, str]) -> Iterable[str]:
    return (value for name, value in environment.items() if SECRET_NAMES.search(name) and len(value) >= SHORTEST_SECRET)


def _homes(environment: Mapping[str, str]) -> Iterable[str]:
    paths = [environment.get(name, "") for name in ("HOME", "FRAMELEND_AGENT_DIR", "FRAMELEND_AGENT_FILE", "XDG_RUNTIME_DIR")]
    return (path.rstrip("/") for path in paths if len(Path(path).parts) > 1 and len(path) > len("/root"))


def _names(environment: Mapping[str, str]) -> Iterable[str]:
    host = socket.gethostname()
    owners = [environment.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")]
    try:
        owner = pwd.getpwuid(os.getuid())
        owners += [owner.pw_name, owner.pw_gecos.split(",")[0]]
    except KeyError:
        pass  # a user without an entry has no name to hide
    return {*owners, host, host.split(".")[0]} - {""}
