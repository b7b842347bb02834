"""What can be shown of GPUs where there is none: an agent whose card cannot be used lends its CPU and says so, and Blender never
renders on the CPU what was meant for a GPU. The rest is `make test-gpu`."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

from agent.control import ask
from agent.status import lines
from contracts.events import AgentReady
from infra.images.sandbox import DRIVER, run_locked
from tests.integration.agent.goods import Store
from tests.integration.agent.stage import Stage
from tests.integration.world import World
from tests.waiting import until

CARD = "GPU-22b2c6ac-2d49-4863-197c-9c469071178a"


def test_without_a_gpu_in_the_container_nothing_is_rendered_and_the_machine_is_blamed(
    image: str, scenes: Path, tmp_path: Path
) -> None:
    shutil.copytree(scenes / "ok_small", tmp_path / "in" / "bundle")
    task = {"blend": "/in/bundle/scene.blend", "frames": [1], "settings": {}, "gpu": True}
    ended = run_locked(image, tmp_path / "in", tmp_path / "out", *DRIVER, json.dumps(task))
    assert ended.returncode == 5
    assert json.loads(ended.stdout.splitlines()[-1])["code"] == "no_gpu"
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_card_that_docker_cannot_pass_on_is_not_lent_and_the_cpu_is(
    world: World, store: Store, image: str, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{CARD}, GeForce RTX 2080, 7979, 512, 86, 45, 440.64'\n")
    program.chmod(0o755)
    agent, secret = await world.an_agent()
    stage = Stage(world, store, image, agent, secret, tmp_path, {})
    path = f"{program.parent}:{stage.environment()['PATH']}"
    process = await stage.start(PATH=path, FRAMELEND_AGENT_GPU_IMAGE=image)
    ready = await until(lambda: first_ready(world, agent), "the agent is ready", 120)
    told = await asyncio.to_thread(ask, tmp_path / "home", {"order": "status"})
    process.stop()
    assert ready is not None
    assert [(gpu.id, gpu.benchmark) for gpu in ready.hardware.gpus] == [(CARD, None)]
    assert (ready.slots, ready.images) == (1, (image,))
    assert ready.benchmark is not None
    assert "a GPU is not lent" in process.log.read_text()
    assert any("GPU GeForce RTX 2080 is not lent: its benchmark frame did not render" in line for line in lines(told)), told


def first_ready(world: World, agent: str) -> AgentReady | None:
    return next((fact for key, fact in world.heard if key.startswith(f"{agent}.") and isinstance(fact, AgentReady)), None)


def test_the_gpu_test_says_that_it_was_not_run_where_there_is_no_gpu() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu"], capture_output=True, text=True, env={"PATH": "/nowhere"}, check=False
    )
    assert done.returncode == 2
    assert "NOT RUN" in done.stdout
