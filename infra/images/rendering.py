"""The render image: Blender in one image that rarely changes, our scripts on top in another that builds in a second."""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.images import engine, wheels
from infra.images.debian import debian_image
from infra.local import farmfile
from infra.local.failure import FarmError
from infra.local.layout import Layout

HERE = Path(__file__).resolve().parent
LOCK = HERE / "render" / "requirements.lock"
BLENDER_TAG = "framelend/blender:5.0.1"
TAG = "framelend/render:5.0.1"


def render_image_id() -> str:
    """The id (`sha256:…`) of the up-to-date render image, built first if need be."""
    inputs = _inputs()
    if found := engine.image_id(TAG, inputs):
        return found
    with wheels.alone():
        return engine.image_id(TAG, inputs) or _build()


def current_image_id() -> str:
    """The id of the up-to-date render image; raises `FarmError` when it has not been built."""
    found = engine.image_id(TAG, _inputs())
    if found is None:
        raise FarmError("images", "the render image is missing or out of date", advice="make images")
    return found


def remember(layout: Layout, image: str) -> None:
    """Writes FARM_RENDER_IMAGE to the farm's file, which need not exist yet."""
    layout.make()
    known = farmfile.read(layout).values if layout.env_file.exists() else {}
    if known.get("FARM_RENDER_IMAGE") != image:
        farmfile.write(layout, {**known, "FARM_RENDER_IMAGE": image})


def _blender_inputs() -> str:
    return wheels.digest([*_blender_files(), LOCK])


def _blender_files() -> list[Path]:
    return [HERE / "blender" / "Dockerfile", HERE / "blender" / "trim.sh"]


def _scripts() -> list[Path]:
    return sorted((HERE / "render").glob("*.py"))


def _inputs() -> str:
    return wheels.digest([*_scripts(), HERE / "render" / "Dockerfile"], _blender_inputs())


def _build() -> str:
    blender = engine.image_id(BLENDER_TAG, _blender_inputs()) or _build_blender()
    context = wheels.fresh_folder("render", [*_scripts(), HERE / "render" / "Dockerfile"])
    engine.say(f"Blender is in {blender[:19]}")
    return engine.build(TAG, context, BLENDER_TAG, _inputs())


def _build_blender() -> str:
    engine.say("this takes about 2 minutes the first time, most of it for 400 MB of wheels")
    base = debian_image()
    context = wheels.fresh_folder("blender", _blender_files())
    wheels.fetch(LOCK, context / "wheels")
    made = engine.build(BLENDER_TAG, context, base, _blender_inputs())
    engine.drop_unpacked()
    shutil.rmtree(context)
    return made
