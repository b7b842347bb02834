"""Which address of a broker this machine may send its secret to: an encrypted one that is verified, or this very machine."""

from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit


def danger(url: str, plain_is_fine: bool = False) -> str:
    """Empty when the address may be used, else why not, in words for the lender. `plain_is_fine` is his own explicit word."""
    parts = urlsplit(url)
    if "no_verify_ssl" in parse_qs(parts.query, keep_blank_values=True):
        return f"the address of the broker at {parts.hostname} asks not to verify who answers; enrol this machine again"
    if parts.scheme == "amqps" or is_here(parts.hostname or "") or plain_is_fine:
        return ""
    return (
        f"the broker at {parts.hostname} is to be reached without encryption: everybody on the way could read this machine's "
        "secret, take its place, and read and change what it is told. Ask the farm for an amqps:// address"
        " (agent_plain_broker = true accepts all this, in a network of your own)"
    )


def is_here(host: str) -> bool:
    """This machine, whatever the network."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
