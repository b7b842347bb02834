"""The programs that our services stand on, each with the configuration that it reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.local import readiness
from infra.local.failure import FarmError
from infra.local.farmfile import SERVICES, FarmFile
from infra.local.layout import PYTHON, TOOLS, Layout, write_private
from infra.local.programs import Program
from infra.prometheus.config import prometheus_yml
from infra.rabbitmq import tls
from infra.rabbitmq.config import ADVANCED, PLUGINS, rabbitmq_conf

RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The package's own script: the wrapper in sbin insists on being root or rabbitmq."""
BUCKET = "framelend"


@dataclass(frozen=True)
class Part:
    """A program, how to see that it is ready, and where people find it."""

    program: Program
    ready: readiness.Check
    address: str
    seconds: float = 30
    """The longest that it may take to be ready."""


def tool(name: str, *places: Path) -> str:
    """The path of a program that set-up installs."""
    found = next((str(place) for place in places if place.exists()), None) or shutil.which(name)
    if found is None:
        raise FarmError(name, "is not installed", advice="run `make setup`")
    return found


def epmd(layout: Layout, farm: FarmFile) -> Part:
    """Erlang's name server, in the foreground: left to Erlang it would outlive the farm as a daemon."""
    port = farm.port("EPMD")
    command = (tool("epmd"), "-address", "127.0.0.1", "-port", str(port))
    return Part(Program("epmd", command, priority=10), lambda: readiness.tcp(port), f"127.0.0.1:{port}")


def rabbitmq(layout: Layout, farm: FarmFile) -> Part:
    home = layout.data("rabbitmq")
    home.mkdir(exist_ok=True)
    user, password = farm.rabbit_admin
    ports = {"amqp": farm.port("AMQP"), "management": farm.port("RABBIT_MANAGEMENT")}
    encrypted = tls.listener(tls.ensure(broker_tls(layout).folder, ["127.0.0.1"]), farm.port("AMQPS"))
    settings = rabbitmq_conf(
        **ports,
        prometheus=farm.port("RABBIT_PROMETHEUS"),
        vhost=farm["FARM_VHOST"],
        user=user,
        password=password,
        encrypted=encrypted,
    )
    write_private(home / "rabbitmq.conf", settings)
    write_private(home / "enabled_plugins", PLUGINS)
    write_private(home / "env.conf", "")
    write_private(home / ".erlang.cookie", farm["FARM_ERLANG_COOKIE"])
    (home / ".erlang.cookie").chmod(0o400)
    environment = rabbit_environment(home, farm)
    program = Program("rabbitmq", (tool("rabbitmq-server", RABBITMQ_SERVER),), environment, 20, stop_seconds=40)
    return Part(program, lambda: rabbit_ready(farm), f"127.0.0.1:{farm.port('AMQP')}", seconds=90)


def broker_tls(layout: Layout) -> tls.Tls:
    """Certificates of the broker's encrypted listener; who reaches it may trust its authority."""
    return tls.Tls(layout.data("rabbitmq") / "tls")


def rabbit_environment(home: Path, farm: FarmFile) -> dict[str, str]:
    """What the node and the package's command line tools need to find each other."""
    return {
        "HOME": str(home),
        "ERL_EPMD_PORT": str(farm.port("EPMD")),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"framelend-{farm['FARM_ID']}@localhost",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(ADVANCED),
        "RABBITMQ_CONF_ENV_FILE": str(home / "env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_DIST_PORT": str(farm.port("RABBIT_DIST")),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none"
        " -kernel inet_dist_use_interface {127,0,0,1}",
        # Makes the start script become the Erlang machine, so that signals reach it and no shell stands between.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def rabbit_ready(farm: FarmFile) -> str:
    """AMQP is spoken on the port and the management API lets the administrator in."""
    overview = f"{farm.http('RABBIT_MANAGEMENT')}/api/overview"
    return readiness.amqp(farm.port("AMQP")) or readiness.http_ok(overview, farm.rabbit_admin)


def mongod(layout: Layout, farm: FarmFile) -> Part:
    home = layout.data("mongodb")
    (home / "data").mkdir(parents=True, exist_ok=True)
    if not (home / "key").exists():
        write_private(home / "key", farm["FARM_MONGO_ADMIN_PASSWORD"] * 4)
        (home / "key").chmod(0o400)
    port = farm.port("MONGO")
    binary = tool("mongod", *TOOLS.glob("venv/lib/python*/site-packages/fiftyone/db/bin/mongod"))
    command = (
        *(binary, "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--quiet"),
        *("--dbpath", str(home / "data"), "--replSet", "farm", "--keyFile", str(home / "key")),
        *("--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "256"),
        *("--setParameter", "minSnapshotHistoryWindowInSeconds=0"),  # nobody reads the past; keeping it costs each write
    )
    program = Program("mongod", command, priority=20, stop_seconds=30)
    return Part(program, lambda: readiness.tcp(port), f"127.0.0.1:{port}", seconds=60)


def store(layout: Layout, farm: FarmFile) -> Part:
    """rclone's S3 server on a folder; the bucket is a folder in it."""
    home = layout.data("s3")
    (home / BUCKET).mkdir(parents=True, exist_ok=True)
    write_private(layout.root / "rclone.conf", "")
    address = f"127.0.0.1:{farm.port('S3')}"
    environment = {
        "RCLONE_CONFIG": str(layout.root / "rclone.conf"),
        # In the environment, not on the command line that everybody can read; the pair is one CSV field.
        "RCLONE_AUTH_KEY": f'"{farm["FARM_S3_ACCESS_KEY"]},{farm["FARM_S3_SECRET_KEY"]}"',
    }
    command = (tool("rclone", TOOLS / "venv/bin/rclone"), "serve", "s3", str(home), "--addr", address)
    check = lambda: readiness.http_ok(f"http://{address}/", refused_is_fine=True)  # noqa: E731
    return Part(Program("s3", command, environment, priority=20), check, f"http://{address}")


def prometheus(layout: Layout, farm: FarmFile) -> Part:
    home = layout.data("prometheus")
    (home / "agents").mkdir(parents=True, exist_ok=True)
    port = farm.port("PROMETHEUS")
    services = {name: farm.port(name.upper()) for name in SERVICES}
    rabbit = farm.port("RABBIT_PROMETHEUS")
    settings = prometheus_yml(services=services, rabbit=rabbit, prometheus=port, agents=home / "agents")
    write_private(home / "prometheus.yml", settings)
    command = (
        *(tool("prometheus"), f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=7d", "--log.level=warn"),
    )
    program = Program("prometheus", command, priority=30, directory=home)
    return Part(program, lambda: readiness.http_ok(f"http://127.0.0.1:{port}/-/ready"), f"http://127.0.0.1:{port}")


def mail(layout: Layout, farm: FarmFile) -> Part:
    folder = Path(farm["FARM_MAIL_DIR"])
    folder.mkdir(exist_ok=True)
    port = farm.port("SMTP")
    command = (str(PYTHON), "-m", "infra.local.mailcatcher", "--port", str(port), "--folder", str(folder))
    return Part(Program("mail", command, priority=30), lambda: readiness.smtp(port), f"127.0.0.1:{port} → {folder}")


def tracebox(layout: Layout, farm: FarmFile) -> Part:
    port = farm.port("TRACEBOX")
    command = (str(PYTHON), "-m", "infra.tracebox", "--port", str(port))
    check = lambda: readiness.http_ok(f"http://127.0.0.1:{port}/health")  # noqa: E731
    return Part(Program("tracebox", command, priority=30), check, f"http://127.0.0.1:{port}")


INFRASTRUCTURE: tuple[Callable[[Layout, FarmFile], Part], ...] = (
    epmd,
    rabbitmq,
    mongod,
    store,
    prometheus,
    mail,
    tracebox,
)
"""In the order they start."""
