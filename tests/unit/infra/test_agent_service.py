"""The agent's unit for systemd says what its agent understands, and takes from it neither too little nor the GPUs."""

import re
import shlex
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from typer.main import get_command

from agent.cli import app
from agent.commands import UNUSABLE
from agent.lockdown import UID
from contracts.values import Picture

UNIT = Path("infra/agent/framelend-agent.service")
TEXT = UNIT.read_text(encoding="utf-8")
AGENT_BYTES = 200 << 20
HIDES_DEVICES = ("PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy")


def said(section: str) -> dict[str, list[str]]:
    """Every value of every setting of a section, in order: systemd lets a name be said again."""
    found: dict[str, list[str]] = defaultdict(list)
    inside = ""
    for line in TEXT.splitlines():
        if line.startswith("["):
            inside = line.strip("[]")
        elif line and not line.startswith("#") and inside == section:
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


SERVICE = said("Service")


def commands() -> set[str]:
    return set(getattr(get_command(app), "commands", {}))


def test_what_it_starts_is_the_agents_own_command() -> None:
    (line,) = SERVICE["ExecStart"]
    program, *words = line.split()
    scripts = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert Path(program).name in scripts
    assert words == ["run"]
    assert set(words) <= commands()


def test_every_command_it_tells_its_owner_to_type_exists() -> None:
    told = set(re.findall(r"(?:as_agent|sudo -Hu framelend sh -c 'framelend-agent) ([a-z-]+)", TEXT))
    assert told >= {"enrol", "doctor", "status", "example-settings"}
    assert told <= commands()


def test_its_owners_commands_run_as_the_service_does_with_what_its_environment_says() -> None:
    (line,) = re.findall(r"as_agent\(\) \{ (systemd-run .*?); \}", TEXT.replace("\\\n#", ""))
    words = shlex.split(line)
    assert [word for word in words if "=" in word] == [f"{name}={SERVICE[name][0]}" for name in ("User", "EnvironmentFile")]
    assert words[-2:] == [SERVICE["ExecStart"][0].split()[0], "$@"]


def test_the_files_it_tells_its_owner_to_copy_are_where_it_says() -> None:
    copied = re.findall(r"^# +cp (\S+)", TEXT, re.MULTILINE)
    assert copied == [str(UNIT)]


def test_who_runs_docker_rootless_is_told_how_the_agent_reaches_its_socket_and_loses_the_group() -> None:
    """ProtectHome hides /run/user: yes for good, tmpfs but for what is bound into it (systemd.exec(5))."""
    (socket,) = re.findall(r"DOCKER_HOST=unix://(\S+)", TEXT)
    more = dict(re.findall(r"^#   ([A-Z]\w+)=(\S*)$", TEXT, re.MULTILINE))
    assert SERVICE["ProtectHome"] == ["yes"]
    assert socket.startswith("/run/user/")
    assert (more["ProtectHome"], more["BindReadOnlyPaths"]) == ("tmpfs", str(Path(socket).parent))
    assert more["SupplementaryGroups"] == ""


def test_it_runs_as_a_user_of_its_own_that_can_become_nobody_else() -> None:
    (user,) = SERVICE["User"]
    assert user not in ("root", "0", str(UID))
    assert SERVICE["SupplementaryGroups"] == ["docker"], "or it can start no container"
    assert SERVICE["NoNewPrivileges"] == ["yes"]
    assert SERVICE["CapabilityBoundingSet"] == SERVICE["AmbientCapabilities"] == [""]


def test_a_crash_starts_it_again_and_a_mistake_in_the_settings_does_not() -> None:
    assert SERVICE["Restart"] == ["on-failure"]
    assert SERVICE["RestartPreventExitStatus"] == [str(UNUSABLE)]
    assert said("Unit")["StartLimitIntervalSec"] == ["0"], "it never gives up"
    assert SERVICE["KillSignal"] == ["SIGTERM"], "what the agent gives its chunks back at"


def test_one_picture_that_is_too_large_costs_one_frame_and_not_every_chunk_in_hand() -> None:
    """The largest that a job may ask for is not too large, at 8 bits."""
    assert SERVICE["OOMPolicy"] == ["continue"]
    side = next(it.le for it in Picture.model_fields["width"].metadata if hasattr(it, "le"))
    (most,) = SERVICE["MemoryMax"]
    assert int(most.removesuffix("G")) << 30 > 4 * side**2 + AGENT_BYTES


@pytest.mark.parametrize("setting", HIDES_DEVICES)
def test_nothing_hides_the_gpus(setting: str) -> None:
    assert setting not in SERVICE


def test_the_clock_can_be_set_by_nobody_all_the_same() -> None:
    """What ProtectClock would have held: the capability is gone, and of system calls the list of privileged ones."""
    assert SERVICE["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert SERVICE["CapabilityBoundingSet"] == [""]


def test_its_folder_can_be_written_where_everything_else_cannot() -> None:
    assert SERVICE["ProtectSystem"] == ["strict"]
    (folder,) = SERVICE["ReadWritePaths"]
    assert folder == f"/var/lib/{SERVICE['StateDirectory'][0]}"
    assert f"--home-dir {folder} " in TEXT
