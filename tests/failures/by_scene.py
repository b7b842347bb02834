"""Failures that a .blend brings with it: real Blender meets them by itself."""

import asyncio
from functools import partial
from typing import Any

from agent.domain.attempt import Ending
from contracts.values import Kind, Picture
from infra.local.engine import docker
from tests.failures.ward import Patient, Provoke, Ward


async def _renders(ward: Ward, scene: str, *frames: int, **changes: Any) -> Ending:
    return await ward.fail(scene, *frames, **changes)


async def _starved(ward: Ward) -> Ending:
    async def starve(patient: Patient) -> None:
        await patient.opened()
        done = await asyncio.to_thread(docker, "update", "--cpus", "0.05", patient.box)
        assert done.returncode == 0, done.stderr

    return await ward.fail("slow", meddle=starve, max_seconds_per_frame=12)


_OTHER: dict[str, Any] = {"picture": Picture(width=192, height=109)}
BY_SCENE: dict[str, Provoke] = {
    "not_a_blend": partial(_renders, scene="not_a_blend"),
    "truncated_blend": partial(_renders, scene="truncated"),
    "newer_blender": partial(_renders, scene="newer"),
    "blend_not_in_bundle": partial(_renders, scene="ok_small", blend="scenes/other.blend"),
    "no_camera": partial(_renders, scene="no_camera"),
    "no_such_scene": partial(_renders, scene="ok_small", settings={"scene": "encore"}),
    "eevee": partial(_renders, scene="eevee"),
    "unknown_engine": partial(_renders, scene="unknown_engine"),
    "missing_texture": partial(_renders, scene="missing_texture"),
    "missing_library": partial(_renders, scene="missing_library"),
    "missing_volume": partial(_renders, scene="missing_volume"),
    "missing_tiles": partial(_renders, scene="missing_tiles"),
    "missing_sequence_frame": lambda ward: _renders(ward, "missing_sequence_frame", 1, 2, 3),
    "unreadable_texture": partial(_renders, scene="unreadable_texture"),
    "compositor_without_output": partial(_renders, scene="compositor_without_output"),
    "faces_beyond_memory": partial(_renders, scene="subdivision_bomb", memory_bytes=1_000_000_000),
    "texture_beyond_memory": partial(_renders, scene="texture_bomb", memory_bytes=1_000_000_000),
    "hung_and_busy": partial(_renders, scene="slow", max_seconds_per_frame=5),
    "sample_over_budget": lambda ward: ward.fail("slow", grant={"kind": Kind.SAMPLE}, budget_seconds=5),
    "starved": _starved,
    "picture_of_another_size": lambda ward: ward.fail("ok_small", grant=_OTHER, **_OTHER),
    "missing_and_unused": partial(_renders, scene="missing_unused"),
    "card_in_the_file_only": partial(_renders, scene="card_in_the_file"),
}
