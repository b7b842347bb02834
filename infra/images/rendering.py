"""The render image: Blender in one image that rarely changes, our scripts on top in another that builds in a second.

Two targets of the same files: `render` is what every machine can use, `render-gpu` keeps Blender's GPU kernels and is made only
when somebody asks for it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from infra.images import engine, wheels
from infra.images.debian import debian_image
from infra.local import farmfile
from infra.local.failure import FarmError
from infra.local.layout import Layout

HERE = Path(__file__).resolve().parent
LOCK = HERE / "render" / "requirements.lock"
VERSION = "5.0.1"


@dataclass(frozen=True)
class Target:
    """`blender` is the stage of blender/Dockerfile; `remembered` the name of its id in the farm's file."""

    name: str
    blender: str
    remembered: str

    @property
    def tag(self) -> str:
        return f"framelend/{self.name}:{VERSION}"

    def blender_tag(self, inputs: str) -> str:
        """With its inputs in it: checkouts of different age on one machine do not take this large image from each other."""
        return f"framelend/{self.blender}:{VERSION}-{inputs[:12]}"


CPU = Target("render", "blender", "FARM_RENDER_IMAGE")
GPU = Target("render-gpu", "blender-gpu", "FARM_RENDER_GPU_IMAGE")
TARGETS = {target.name: target for target in (CPU, GPU)}


def render_image_id(target: Target = CPU) -> str:
    """The id (`sha256:…`) of the up-to-date render image, built first if need be."""
    inputs = _inputs()
    if found := engine.image_id(target.tag, inputs):
        return found
    with wheels.alone():
        return engine.image_id(target.tag, inputs) or _build(target)


def current_image_id(target: Target = CPU) -> str:
    """The id of the up-to-date render image; raises `FarmError` when it has not been built."""
    found = engine.image_id(target.tag, _inputs())
    if found is None:
        advice = "make images" if target is CPU else f"make images TARGET={target.name}"
        raise FarmError("images", f"the {target.name} image is missing or out of date", advice=advice)
    return found


def remember(layout: Layout, image: str, target: Target = CPU) -> None:
    """Writes the image's id to the farm's file, which need not exist yet."""
    layout.make()
    known = farmfile.read(layout).values if layout.env_file.exists() else {}
    if known.get(target.remembered) != image:
        farmfile.write(layout, {**known, target.remembered: image})


def _blender_inputs() -> str:
    return wheels.digest([*_blender_files(), LOCK])


def _blender_files() -> list[Path]:
    return [HERE / "blender" / "Dockerfile", HERE / "blender" / "trim.sh"]


def _scripts() -> list[Path]:
    return sorted((HERE / "render").glob("*.py"))


def _inputs() -> str:
    return wheels.digest([*_scripts(), HERE / "render" / "Dockerfile"], _blender_inputs())


def _build(target: Target) -> str:
    tag = target.blender_tag(_blender_inputs())
    blender = engine.image_id(tag, _blender_inputs()) or _build_blender(target, tag)
    context = wheels.fresh_folder(target.name, [*_scripts(), HERE / "render" / "Dockerfile"])
    engine.say(f"Blender is in {blender[:19]}")
    return engine.build(target.tag, context, tag, _inputs())


def _build_blender(target: Target, tag: str) -> str:
    engine.say("this takes about 2 minutes the first time, most of it for 400 MB of wheels")
    base = debian_image()
    context = wheels.fresh_folder(target.blender, _blender_files())
    wheels.fetch(LOCK, context / "wheels")
    made = engine.build(tag, context, base, _blender_inputs(), stage=target.blender)
    engine.drop_unpacked()
    shutil.rmtree(context)
    return made
