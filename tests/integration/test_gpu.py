"""What can be shown of GPUs where there is none: an agent whose card cannot be used lends its CPU and says so, and Blender never
renders on the CPU what was meant for a GPU. The rest is `make test-gpu`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from contracts.events import AgentReady
from infra.images.rendering import render_image_id
from infra.images.sandbox import DRIVER, run_locked
from tests.integration.agent.goods import Store
from tests.integration.agent.stage import Stage
from tests.integration.world import World
from tests.scenes import build_scenes

CARD = "GPU-22b2c6ac-2d49-4863-197c-9c469071178a"


def a_task(gpu: bool) -> str:
    return json.dumps({"blend": "/in/bundle/scene.blend", "frames": [1], "settings": {}, "gpu": gpu})


def test_without_a_gpu_in_the_container_nothing_is_rendered_and_the_machine_is_blamed(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    shutil.copytree(build_scenes(tmp_path / "scenes") / "ok_small", inside / "bundle")
    ended = {gpu: run_locked(render_image_id(), inside, tmp_path / "out", *DRIVER, a_task(gpu)) for gpu in (True, False)}
    assert ended[True].returncode == 5
    assert json.loads(ended[True].stdout.splitlines()[-1])["code"] == "no_gpu"
    assert ended[False].returncode == 0


async def test_a_card_that_docker_cannot_pass_on_is_not_lent_and_the_cpu_is(world: World, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{CARD}, GeForce RTX 2080, 7979, 512, 86, 45, 440.64'\n")
    program.chmod(0o755)
    agent, secret = await world.an_agent()
    image = render_image_id()
    stage = Stage(world, Store(world), image, agent, secret, tmp_path, {})
    path = f"{program.parent}:{stage.environment()['PATH']}"
    process = await stage.start(PATH=path, FRAMELEND_AGENT_GPU_IMAGE=image)
    ready = await world.hear(AgentReady, seconds=120)
    process.stop()
    stage.store.close()
    assert [(gpu.id, gpu.benchmark) for gpu in ready.hardware.gpus] == [(CARD, None)]
    assert ready.slots == 1
    assert ready.images == (image,)
    assert ready.benchmark is not None
    assert "a GPU is not lent" in process.log.read_text()


def test_the_gpu_test_says_that_it_was_not_run_where_there_is_no_gpu() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu"], capture_output=True, text=True, env={"PATH": "/nowhere"}, check=False
    )
    assert done.returncode == 2
    assert "NOT RUN" in done.stdout
