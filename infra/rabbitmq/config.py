"""RabbitMQ's own settings for a node that lives in a farm folder, without root and beside any other node."""

from __future__ import annotations

from pathlib import Path

from contracts.topology import MAX_MESSAGE_BYTES

ADVANCED = Path(__file__).with_name("advanced.config")

TEMPLATE = """\
listeners.tcp.default = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {prometheus}
default_vhost = {vhost}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
max_message_size = {largest}
raft.wal_max_size_bytes = 67108864
vm_memory_high_watermark.absolute = 2GB
log.console = true
log.console.level = warning
log.file = false
"""

PLUGINS = "[rabbitmq_management,rabbitmq_prometheus].\n"


def rabbitmq_conf(
    *,
    amqp: int,
    management: int,
    prometheus: int,
    vhost: str,
    user: str,
    password: str,
    largest: int = MAX_MESSAGE_BYTES,
    encrypted: str = "",
) -> str:
    """``encrypted``: the lines of a listener for TLS."""
    return encrypted + TEMPLATE.format(
        amqp=amqp,
        management=management,
        prometheus=prometheus,
        vhost=vhost,
        user=user,
        password=password,
        largest=largest,
    )
