"""The few words we say to the Docker Engine while images are made. Builds must work with the legacy builder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.local.engine import host
from infra.local.failure import FarmError

LABEL = "framelend.inputs"
UNPACK_LABEL = "framelend.stage=unpack"


def say(text: str) -> None:
    """A line of progress for people."""
    print(f"images: {text}", flush=True)


def docker(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    command = ["docker", "-H", host(), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def image_id(tag: str, inputs: str | None = None) -> str | None:
    """`sha256:…` of the tag if it exists and, when asked, was made from exactly these inputs."""
    done = docker("image", "inspect", tag, "--format", "{{json .}}")
    if done.returncode != 0:
        return None
    found = json.loads(done.stdout)
    labels = found["Config"].get("Labels") or {}
    return str(found["Id"]) if inputs is None or labels.get(LABEL) == inputs else None


def build(tag: str, context: Path, base: str, inputs: str, stage: str | None = None) -> str:
    """Builds `context/Dockerfile`, up to `stage` or its last one, showing each step as it begins; returns the image's id."""
    say(f"building {tag} on {base}")
    target = ["--target", stage] if stage else []
    words = ["build", "-t", tag, *target, "--build-arg", f"BASE={base}", "--label", f"{LABEL}={inputs}", str(context)]
    log = context.parent / f"{context.name}.log"
    if _stream([*words[:1], "--force-rm", *words[1:]], log) != 0:
        raise FarmError("images", f"building {tag} failed", log, "read the log's end; is the network there?")
    made = image_id(tag, inputs)
    if made is None:
        raise FarmError("images", f"{tag} was built and is not there", log, "another build of it ran meanwhile: try again")
    return made


def _stream(words: list[str], log: Path) -> int:
    command = ["docker", "-H", host(), *words]
    environment = {**os.environ, "DOCKER_CLI_HINTS": "false"}
    with (
        log.open("w") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
        ) as process,
    ):
        for line in process.stdout or ():
            file.write(line)
            if line.startswith("Step ") or (sys.stdout.isatty() and line.startswith("#")):
                say(line.strip()[:110])
        return process.wait()


def drop_unpacked() -> None:
    """Removes what the first stage of a build left behind: 1.5 GB that nothing names."""
    docker("image", "prune", "-f", "--filter", f"label={UNPACK_LABEL}")
