"""The image of all services and the image of the agent: the same recipe, another extra and another door."""

from __future__ import annotations

from pathlib import Path

from infra.images import engine, wheels
from infra.images.debian import debian_image
from infra.local.layout import CHECKOUT

HERE = Path(__file__).resolve().parent
LOCK = CHECKOUT / "requirements.lock"
VERSION = "0.1.0"
SOURCES = {"services": ("contracts", "services"), "agent": ("contracts", "agent")}


def image(name: str) -> str:
    """The id of the up-to-date image `framelend/<name>`, name in `services`, `agent`; built first if need be."""
    tag, inputs = f"framelend/{name}:{VERSION}", _inputs(name)
    if found := engine.image_id(tag, inputs):
        return found
    with wheels.alone():
        return engine.image_id(tag, inputs) or _build(name, tag, inputs)


def _inputs(name: str) -> str:
    code = [path for folder in SOURCES[name] for path in (CHECKOUT / folder).rglob("*") if _counts(path)]
    return wheels.digest([*code, CHECKOUT / "pyproject.toml", LOCK, HERE / name / "Dockerfile"])


def _counts(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _build(name: str, tag: str, inputs: str) -> str:
    base = debian_image()
    context = wheels.fresh_folder(name, [HERE / name / "Dockerfile"])
    lock = context / "requirements.lock"
    lock.write_text(wheels.locked(name, LOCK))
    wheels.fetch(lock, context / "wheels")
    wheels.build_ours(context / "ours")
    return engine.build(tag, context, base, inputs)
