"""The example of a production broker says of TLS and limits what the code says."""

from pathlib import Path

from contracts.topology import AGENT_LIMITS, MAX_MESSAGE_BYTES
from infra.rabbitmq import tls
from infra.rabbitmq.config import rabbitmq_conf

EXAMPLE = Path("infra/rabbitmq/production.conf")


def settings(text: str) -> dict[str, str]:
    lines = [line.partition(" = ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in lines}


def test_its_encrypted_listener_is_the_one_that_is_tested() -> None:
    said, made = settings(EXAMPLE.read_text()), settings(tls.listener(tls.Tls(Path("/etc/framelend/tls")), 5671, "::"))
    assert {name: said.get(name) for name in made} == made


def test_nothing_that_is_not_encrypted_or_is_management_leaves_the_machine() -> None:
    said = settings(EXAMPLE.read_text())
    assert said["listeners.tcp.default"].startswith("127.0.0.1:")
    assert {said["management.tcp.ip"], said["prometheus.tcp.ip"]} == {"127.0.0.1"}


def test_its_limits_are_the_farms() -> None:
    said = settings(EXAMPLE.read_text())
    local = settings(rabbitmq_conf(amqp=1, management=2, prometheus=3, vhost="v", user="u", password="p"))
    assert int(said["max_message_size"]) == MAX_MESSAGE_BYTES == int(local["max_message_size"])
    assert int(said["channel_max"]) >= AGENT_LIMITS["max-channels"]
