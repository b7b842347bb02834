"""What Docker is told about a container that runs a stranger's file: one fixed line in which only sizes differ.

Nothing of the machine is writable in there. Pictures lie in the container's own memory, within its limit, and leave it as counted
bytes on stdout: a folder of ours could be filled through files that no listing shows (opened, unlinked, written on), and whoever
reads it has to tell files from links and pipes under the writer's hands.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, LogConfig, Ulimit

UID = 10001
TMP_BYTES = 256 << 20
OUT_SLACK_BYTES = 64 << 20
"""Beside the largest picture: what else a scene writes (its own file outputs) is thrown away, but must not stop it."""
TMP_FILES, OUT_FILES = 10_000, 1_000
OPEN_FILES = 1_024
SACRIFICED = 500
"""When the machine itself runs out of memory, its kernel takes the stranger's process before the owner's."""
LOWEST = {"cpu_shares": 2, "blkio_weight": 10}
"""The least that Docker takes; other programs have 1024 and 500. Agent.warden adds the lowest nice and ionice inside."""
ENGINE_LIMITS = {"MemoryLimit": "memory", "SwapLimit": "swap", "CpuCfsQuota": "cores", "PidsLimit": "processes"}
_TMPFS = "rw,noexec,nosuid,nodev"


@dataclass(frozen=True)
class Guards:
    """Every lock by its name, all of them on. No setting reaches this; tests turn one off to show that it is what holds."""

    no_network: bool = True
    read_only_root: bool = True
    no_capabilities: bool = True
    no_new_privileges: bool = True
    seccomp: bool = True
    other_user: bool = True
    own_processes: bool = True
    own_memory_segments: bool = True
    no_devices: bool = True
    no_kernel_settings: bool = True
    no_host_folders: bool = True
    inputs_read_only: bool = True
    output_in_memory: bool = True
    few_files: bool = True
    few_processes: bool = True
    bounded_memory: bool = True
    bounded_cpu: bool = True
    bounded_descriptors: bool = True
    no_core_files: bool = True
    no_log_file: bool = True
    bounded_talk: bool = True
    tied_to_agent: bool = True


@dataclass(frozen=True)
class Spec:
    """One container. `binds`: (host folder, folder inside). `picture_bytes`: the largest picture it may make, 0 for none.
    `line_bytes` bounds one line of stdout. After `seconds` it ends by itself, whoever watches."""

    image: str
    command: tuple[str, ...]
    agent: str
    attempt: str
    cpus: float
    memory_bytes: int
    binds: tuple[tuple[Path, str], ...] = ()
    picture_bytes: int = 0
    line_bytes: int = 4_096
    seconds: float = 3_600
    gpu: str | None = None
    """The driver's id of the one GPU it sees."""
    lowest: bool = True
    """It gets the CPU and the disk that nobody else wants."""


def lacking(info: Mapping[str, Any]) -> tuple[str, ...]:
    """What the engine that tells this `info` cannot hold: it leaves a limit out with a mere warning. Nothing renders there."""
    missing = [word for name, word in ENGINE_LIMITS.items() if not info.get(name)]
    profiles = [option for option in info.get("SecurityOptions") or () if option.startswith("name=seccomp")]
    if not profiles or any("unconfined" in profile for profile in profiles):
        missing.append("system calls (seccomp)")
    return tuple(missing)


def user(guards: Guards) -> str:
    """Never the agent's own, and without a name in the image."""
    return f"{UID}:{UID}" if guards.other_user else f"{os.geteuid()}:{os.getegid()}"


def host_config(api: Any, spec: Spec, guards: Guards) -> Any:
    """Docker's HostConfig of this container."""
    told = api.create_host_config(
        network_mode="none" if guards.no_network else "host",
        read_only=guards.read_only_root,
        tmpfs=_tmpfs(spec, guards),
        cap_drop=["ALL"] if guards.no_capabilities else [],
        security_opt=_security(guards),
        ipc_mode="none" if guards.own_memory_segments else "host",
        pid_mode=None if guards.own_processes else "host",
        privileged=not guards.no_devices,
        pids_limit=processes() if guards.few_processes else -1,
        mem_limit=spec.memory_bytes if guards.bounded_memory else 0,
        memswap_limit=spec.memory_bytes if guards.bounded_memory else 0,
        oom_score_adj=SACRIFICED,
        **(LOWEST if spec.lowest else {}),
        nano_cpus=int(spec.cpus * 1e9) if guards.bounded_cpu else 0,
        ulimits=_limits(spec, guards),
        binds=_binds(spec, guards),
        log_config=LogConfig(type=LogConfig.types.NONE if guards.no_log_file else LogConfig.types.JSON),
        device_requests=_gpus(spec),
        restart_policy={"Name": "no"},
    )
    return told if guards.no_kernel_settings else {**told, "MaskedPaths": [], "ReadonlyPaths": []}


def processes() -> int:
    """How many a container may have at once, threads counted: Blender starts about three per core."""
    return 4 * (os.cpu_count() or 1) + 64


def out_bytes(spec: Spec) -> int:
    """Size of the folder in memory that pictures are made in."""
    return spec.picture_bytes + OUT_SLACK_BYTES


def _tmpfs(spec: Spec, guards: Guards) -> dict[str, str]:
    few = guards.few_files
    folders = {"/tmp": f"{_TMPFS},size={TMP_BYTES},mode=1777" + (f",nr_inodes={TMP_FILES}" if few else "")}  # noqa: S108 - inside
    if spec.picture_bytes and guards.output_in_memory:
        own = f"{_TMPFS},size={out_bytes(spec)},mode=0700,uid={UID},gid={UID}"
        folders["/out"] = own + (f",nr_inodes={OUT_FILES}" if few else "")
    return folders


def _security(guards: Guards) -> list[str]:
    """Docker's own seccomp profile holds unless it is told otherwise."""
    told = ["no-new-privileges"] if guards.no_new_privileges else []
    return told if guards.seccomp else [*told, "seccomp=unconfined"]


def _limits(spec: Spec, guards: Guards) -> list[Ulimit]:
    limits = [_limit("fsize", max(out_bytes(spec), TMP_BYTES))] if guards.output_in_memory else []
    if guards.bounded_descriptors:
        limits.append(_limit("nofile", OPEN_FILES))
    return [*limits, _limit("core", 0 if guards.no_core_files else -1)]


def _binds(spec: Spec, guards: Guards) -> list[str]:
    mode = "ro" if guards.inputs_read_only else "rw"
    binds = [f"{outside}:{inside}:{mode}" for outside, inside in spec.binds]
    if not guards.output_in_memory:
        folder = spec.binds[0][0].parent / "out"
        folder.mkdir()
        folder.chmod(0o777)
        binds.append(f"{folder}:/out:rw")
    return binds if guards.no_host_folders else [*binds, "/:/host:ro"]


def _gpus(spec: Spec) -> list[DeviceRequest] | None:
    """Through NVIDIA's container toolkit, which mounts the driver and opens this one device; no other is seen."""
    if spec.gpu is None:
        return None
    return [DeviceRequest(driver="nvidia", device_ids=[spec.gpu], capabilities=[["gpu", "compute", "utility"]])]


def _limit(name: str, most: int) -> Ulimit:
    return Ulimit(name=name, soft=most, hard=most)
