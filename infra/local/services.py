"""Our five services as programs: each with exactly its own environment."""

from __future__ import annotations

from infra.local import readiness
from infra.local.farmfile import SERVICES, FarmFile
from infra.local.infrastructure import BUCKET, Part
from infra.local.layout import PYTHON, Layout
from infra.local.programs import Program

PRIORITIES = {"billing": 100, "storage": 101, "scheduler": 102, "notifier": 103, "intake": 104}
"""Intake last: it is the door."""


def environment(name: str, farm: FarmFile, *, vhost: str | None = None, database: str | None = None) -> dict[str, str]:
    """What the service ``name`` is told. ``vhost`` and ``database`` set a test's own ones."""
    return {
        "FRAMELEND_AMQP_URL": farm.amqp_url(name, farm[f"FARM_{name.upper()}_AMQP_PASSWORD"], vhost),
        "FRAMELEND_MONGO_URL": farm.mongo_url(name, farm[f"FARM_{name.upper()}_MONGO_PASSWORD"]),
        "FRAMELEND_MONGO_DATABASE": database or name,
        "FRAMELEND_HTTP_HOST": "127.0.0.1",
        "FRAMELEND_HTTP_PORT": str(farm.port(name.upper())),
        "FRAMELEND_LOG_LEVEL": "info",
        "FRAMELEND_OTLP_URL": f"{farm.http('TRACEBOX')}/v1/traces",
        **_own(name, farm, vhost or farm["FARM_VHOST"]),
    }


def _own(name: str, farm: FarmFile, vhost: str) -> dict[str, str]:
    user, password = farm.rabbit_admin
    own = {
        "storage": {
            "FRAMELEND_S3_URL": farm.http("S3"),
            "FRAMELEND_S3_ACCESS_KEY": farm["FARM_S3_ACCESS_KEY"],
            "FRAMELEND_S3_SECRET_KEY": farm["FARM_S3_SECRET_KEY"],
            "FRAMELEND_S3_BUCKET": BUCKET,
            "FRAMELEND_GRANT_KEY": farm["FARM_GRANT_KEY"],
        },
        "scheduler": {
            "FRAMELEND_GRANT_KEY": farm["FARM_GRANT_KEY"],
            "FRAMELEND_MANAGEMENT_URL": farm.http("RABBIT_MANAGEMENT"),
            "FRAMELEND_MANAGEMENT_USER": user,
            "FRAMELEND_MANAGEMENT_PASSWORD": password,
            "FRAMELEND_RENDER_IMAGE": farm["FARM_RENDER_IMAGE"],
            "FRAMELEND_RENDER_GPU_IMAGE": farm.values.get("FARM_RENDER_GPU_IMAGE", ""),
            "FRAMELEND_CHUNK_SECONDS": farm.values.get("FARM_CHUNK_SECONDS", "60"),
            "FRAMELEND_SHARD": f"1/{farm.scheduler_shards}",
        },
        "billing": {
            "FRAMELEND_AUDIT_WINDOW_SECONDS": "0",
            "FRAMELEND_AUDIT_SECONDS": farm.values.get("FARM_AUDIT_SECONDS", "30"),
        },
        "intake": {
            "FRAMELEND_OPERATOR_KEY": farm["FARM_OPERATOR_KEY"],
            "FRAMELEND_WEBHOOK_KEY": farm["FARM_WEBHOOK_KEY"],
            "FRAMELEND_STORE_ORIGIN": farm.http("S3"),
            "FRAMELEND_BROKER_URL": f"amqp://127.0.0.1:{farm.port('AMQP')}/{vhost}",
            **({"FRAMELEND_RENDER_IMAGE": image} if (image := farm["FARM_RENDER_IMAGE"]) else {}),
        },
        "notifier": {
            "FRAMELEND_SMTP_HOST": "127.0.0.1",
            "FRAMELEND_SMTP_PORT": str(farm.port("SMTP")),
            "FRAMELEND_MAIL_FROM": "farm@framelend.example",
            "FRAMELEND_WEBHOOK_KEY": farm["FARM_WEBHOOK_KEY"],
            "FRAMELEND_WEBHOOK_ALLOW_PRIVATE": "true",
        },
    }
    return own[name]


def service(name: str, layout: Layout, farm: FarmFile) -> Part:
    """The part for one service; it restarts for ever, since what it needs may be away for a while."""
    program = Program(
        name,
        (str(PYTHON), "-m", "services", name),
        environment(name, farm),
        priority=PRIORITIES[name],
        start_retries=1000,
        stop_seconds=30,
    )
    address = farm.http(name.upper())
    return Part(program, lambda: readiness.http_ok(f"{address}/health"), address, seconds=60)


def services(layout: Layout, farm: FarmFile) -> list[Part]:
    """All five in the order they start."""
    return [service(name, layout, farm) for name in sorted(SERVICES, key=PRIORITIES.__getitem__)]
