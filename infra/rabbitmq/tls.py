"""Certificates for the broker's internet side: an authority of the farm's own, and the broker's certificate from it.

    python -m infra.rabbitmq.tls FOLDER NAME...      e.g. python -m infra.rabbitmq.tls /etc/framelend/tls broker.farm.example

Lenders' machines get the authority with their enrolment and trust no other for this broker, so nobody else's certificate, however
public its issuer, can stand in for it. The authority's key is needed again only to renew: keep it elsewhere. Agents need no
certificates: their 256-bit secrets say who they are, inside the encrypted connection.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from infra.local.failure import FarmError
from infra.local.layout import write_private

CURVE = "prime256v1"
AUTHORITY_DAYS, SERVER_DAYS, RENEW_SECONDS = 3650, 397, 30 * 86_400
"""A server's certificate is made anew when less than thirty days are left of it."""

LISTENER = """\
listeners.ssl.default = {address}:{port}
ssl_options.cacertfile = {tls.authority}
ssl_options.certfile = {tls.certificate}
ssl_options.keyfile = {tls.key}
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
ssl_options.honor_cipher_order = true
ssl_options.client_renegotiation = false
ssl_options.secure_renegotiate = true
"""


@dataclass(frozen=True)
class Tls:
    """Files in PEM."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def authority_key(self) -> Path:
        return self.folder / "authority.key"

    @property
    def certificate(self) -> Path:
        return self.folder / "broker.pem"

    @property
    def key(self) -> Path:
        return self.folder / "broker.key"


def listener(tls: Tls, port: int, address: str = "127.0.0.1") -> str:
    """What rabbitmq.conf says of it. TLS 1.2 and later; the agents verify the broker, not the broker them."""
    return LISTENER.format(tls=tls, port=port, address=address)


def ensure(folder: Path, names: Sequence[str]) -> Tls:
    """The authority is made once; the broker's certificate for these host names and addresses as often as it is needed."""
    tls = Tls(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not tls.authority.exists():
        _make_authority(tls)
    if not _is_good(tls, names):
        _make_certificate(tls, names)
    return tls


def _make_authority(tls: Tls) -> None:
    _key(tls.authority_key)
    extensions = ("basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign")
    subject = ("-subj", "/CN=Framelend farm authority", "-days", str(AUTHORITY_DAYS))
    added = [word for one in extensions for word in ("-addext", one)]
    _openssl("req", "-x509", "-new", "-key", str(tls.authority_key), *subject, *added, "-out", str(tls.authority))


def _make_certificate(tls: Tls, names: Sequence[str]) -> None:
    _key(tls.key)
    request, wanted = tls.folder / "broker.csr", tls.folder / "broker.ext"
    lines = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth")
    write_private(wanted, "\n".join((*lines, f"subjectAltName={_alternatives(names)}", "")))
    _openssl("req", "-new", "-key", str(tls.key), "-subj", "/CN=Framelend broker", "-out", str(request))
    signing = ("-CA", str(tls.authority), "-CAkey", str(tls.authority_key), "-CAcreateserial", "-days", str(SERVER_DAYS))
    _openssl("x509", "-req", "-in", str(request), *signing, "-extfile", str(wanted), "-out", str(tls.certificate))
    write_private(tls.folder / "broker.names", _alternatives(names))


def _is_good(tls: Tls, names: Sequence[str]) -> bool:
    told = tls.folder / "broker.names"
    if not (tls.certificate.exists() and told.exists() and told.read_text() == _alternatives(names)):
        return False
    words = ("openssl", "x509", "-in", str(tls.certificate), "-noout", "-checkend", str(RENEW_SECONDS))
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _alternatives(names: Sequence[str]) -> str:
    return ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _key(path: Path) -> None:
    """Its owner's alone from the first byte on."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    _openssl("ecparam", "-name", CURVE, "-genkey", "-noout", "-out", str(path))


def _openssl(*words: str) -> None:
    done = subprocess.run(("openssl", *words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise FarmError("tls", f"openssl {words[0]} failed: {done.stderr.strip()[-500:]}", advice="is openssl installed?")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python -m infra.rabbitmq.tls FOLDER NAME...")
    made = ensure(Path(sys.argv[1]), sys.argv[2:])
    print(f"for rabbitmq.conf:\n\n{listener(made, 5671, '::')}")
    print(f"for the agents: {made.authority}\nkeep elsewhere: {made.authority_key}")
