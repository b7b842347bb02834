"""Films whose frames cost more or less over the timeline, and what each frame costs: CPU seconds of a bare loop of the farm's own
driver in the render image. What was measured is kept until films or Blender change, so that an analysis can be run again without
rendering."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.domain.survey import read_report
from contracts.events import SceneFacts, Shot
from infra.images import rendering
from infra.images.sandbox import DRIVER, run_locked
from tests.scenes import HERE as SCENES
from tests.unit.agent.builders import a_grant

HERE = Path(__file__).resolve().parent
KEPT = Path("build/bench/truth")
FRAMES = 220
PIECE = 55
"""Frames per container: its first frame costs a little more, as on the farm."""
AT_ONCE = 2
"""Containers: small frames leave half of two cores idle."""

Truth = dict[str, list[int]]
"""Film → micro-CPU-seconds of every frame, the first one first."""


def truth(which: str) -> Truth:
    """`which`: judged or tuning. About ten minutes on two cores for a dozen films, or what was kept; piece by piece, so that what
    is interrupted goes on where it was."""
    folder = KEPT / f"{which}-{_mark(which)}"
    kept = folder / "films.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_rendered(rendering.render_image_id(), which, folder)) + "\n")
    return dict(json.loads(kept.read_text()))


def shots(which: str) -> dict[str, tuple[Shot, ...]]:
    """Film → its shots, as the farm's own survey tells them."""
    image = rendering.render_image_id()
    with tempfile.TemporaryDirectory() as folder:
        films = _built(image, which, Path(folder))
        names = sorted(one.name for one in films.iterdir() if one.is_dir())
        (films / "many.json").write_text(json.dumps([{"blend": f"/in/{name}/scene.blend"} for name in names]))
        shutil.copy(SCENES / "many.py", films)
        done = run_locked(image, films, Path(folder) / "out", "python3", "/in/many.py", "survey")
    if done.returncode != 0:
        raise RuntimeError(f"the films could not be surveyed:\n{done.stderr[-2000:]}")
    return {name: _told(report).shots for name, report in zip(names, json.loads(done.stdout), strict=True)}


def _told(report: object) -> SceneFacts:
    facts = read_report(a_grant(), json.dumps(report).encode()).facts
    assert facts is not None, report
    return facts


def _mark(which: str) -> str:
    marked = hashlib.sha256(rendering.VERSION.encode())
    for path in (HERE / "build.py", HERE / "stage.py", HERE / f"{which}.py"):
        marked.update(path.read_bytes())
    return marked.hexdigest()[:12]


def _rendered(image: str, which: str, kept: Path) -> Truth:
    with tempfile.TemporaryDirectory() as folder:
        films = _built(image, which, Path(folder))
        names = sorted(one.name for one in films.iterdir() if one.is_dir())
        pieces = [(name, list(numbers)) for name in names for numbers in _pieces()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            costs = list(pool.map(lambda piece: _piece(image, films / piece[0], piece[1], kept), pieces))
    found: Truth = {name: [] for name in names}
    for (name, _), cost in zip(pieces, costs, strict=True):
        found[name] += cost
    return found


def _built(image: str, which: str, folder: Path) -> Path:
    films = folder / "films"
    built = run_locked(image, HERE, films, "python3", "/in/build.py", "/out", which, seconds=300)
    if built.returncode != 0:
        raise RuntimeError(f"the films could not be made:\n{built.stderr[-2000:]}")
    return films


def _piece(image: str, film: Path, numbers: Sequence[int], kept: Path) -> list[int]:
    file = kept / f"{film.name}-{numbers[0]}.json"
    if not file.exists():
        file.write_text(json.dumps(_costs(image, film, numbers)) + "\n")
    return list(json.loads(file.read_text()))


def _pieces() -> Iterator[range]:
    return (range(at, min(at + PIECE, FRAMES + 1)) for at in range(1, FRAMES + 1, PIECE))


def _costs(image: str, film: Path, numbers: Sequence[int]) -> list[int]:
    """Micro-CPU-seconds of these frames. Raises RuntimeError when not every frame came."""
    with tempfile.TemporaryDirectory() as folder:
        inside, out = Path(folder) / "in", Path(folder) / "out"
        shutil.copytree(film, inside / "bundle")
        task = {"blend": "/in/bundle/scene.blend", "frames": list(numbers), "settings": {}}
        (inside / "task.json").write_text(json.dumps(task))
        done = run_locked(image, inside, out, *DRIVER)
        said = [json.loads(line) for line in done.stdout.splitlines()]
    cost = {one["frame"]: int(one["cpu_seconds"] * 1_000_000) for one in said if one["event"] == "frame"}
    if cost.keys() != set(numbers):
        raise RuntimeError(f"{film.name}: {len(cost)} of {len(numbers)} frames came:\n{done.stderr[-1000:]}")
    return [max(1, cost[number]) for number in numbers]
