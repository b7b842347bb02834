"""What an agent does at the same time: the next bundle is fetched and finished frames travel while others render, and what it
takes of the machine is told meanwhile. One story is lived once; the tests read in what order it was told, not at what time.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from contracts.events import (
    AgentReady,
    BundleRequested,
    ChunkAssigned,
    ChunkCompleted,
    FramesCompleted,
    FramesRendered,
    ResourcesSampled,
)
from tests.integration.agent.goods import Bundle, a_bundle
from tests.integration.agent.stage import BENCH, Stage
from tests.waiting import until

FRAMES = tuple(range(1, 10))
METRICS = (
    "framelend_agent_render_memory_bytes",
    "framelend_agent_render_memory_peak_bytes",
    'framelend_agent_network_bytes_total{way="received"}',
    'framelend_agent_network_bytes_total{way="sent"}',
)


@dataclass
class Story:
    """Two attempts of bundles that this agent has not seen before; the second is given when the first is about to end."""

    stage: Stage
    first: ChunkAssigned
    second: ChunkAssigned
    shown: str
    """The agent's own metrics while the first one rendered."""

    def places(self, event: type[object], assignment: ChunkAssigned) -> list[int]:
        """Where in all that was heard this attempt's facts of that type stand."""
        facts = self.stage.said(event, assignment)
        return [place for place, (_, fact) in enumerate(self.stage.world.heard) if any(fact is one for one in facts)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def story(stage: Stage, scenes: Path) -> Story:
    process = await stage.ready()
    first = await stage.assign(fresh(scenes / "bench_1s"), *FRAMES, picture=BENCH)
    await stage.hear(ResourcesSampled, first)

    async def is_about_to_end() -> bool:
        await stage.answer()
        return any(first.grant.attempt in word.ending for word in stage.world.said(AgentReady))

    await until(is_about_to_end, "the agent says that the attempt is about to end", 120)
    async with httpx.AsyncClient(trust_env=False) as client:
        shown = (await client.get(f"{process.url}/metrics")).text
    second = await stage.assign(fresh(scenes / "ok_small"), 1)
    for assignment in (first, second):
        await stage.hear(ChunkCompleted, assignment, 120)
    return Story(stage, first, second, shown)


def fresh(folder: Path) -> Bundle:
    """The same scene in a bundle of its own."""
    packed = io.BytesIO(a_bundle(folder).body)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("note.txt", uuid4().hex)
    return Bundle(packed.getvalue())


async def test_the_next_bundle_is_fetched_while_the_one_before_renders(story: Story) -> None:
    asked, ended = story.places(BundleRequested, story.second)[0], story.places(FramesRendered, story.first)[-1]
    assert asked < ended


async def test_the_next_container_starts_only_when_the_slot_is_free(story: Story) -> None:
    assert story.places(FramesRendered, story.second)[0] > story.places(FramesRendered, story.first)[-1]


async def test_frames_are_uploaded_and_reported_while_others_render(story: Story) -> None:
    assert sorted(story.stage.frames_said(FramesRendered, story.first)) == list(FRAMES)
    assert sorted(story.stage.frames_said(FramesCompleted, story.first)) == list(FRAMES)
    first_completed, last_rendered = story.places(FramesCompleted, story.first)[0], story.places(FramesRendered, story.first)[-1]
    assert first_completed < last_rendered


async def test_both_attempts_were_in_hand_and_only_one_of_them_ending(story: Story) -> None:
    both = {story.first.grant.attempt, story.second.grant.attempt}
    words = [word for word in story.stage.world.said(AgentReady) if story.first.grant.attempt in word.ending]
    assert all(word.slots == 1 and set(word.ending) <= set(word.attempts) <= both for word in words)


async def test_what_an_attempt_takes_is_told_while_it_renders_and_once_more_at_its_end(story: Story) -> None:
    said = story.stage.said(ResourcesSampled, story.first)
    assert [one.last for one in said] == [*[False] * (len(said) - 1), True]
    assert story.places(ResourcesSampled, story.first)[0] < story.places(FramesRendered, story.first)[-1]
    taken = said[-1].resources
    assert taken.cpu_seconds > said[0].resources.cpu_seconds > 0
    assert 100 << 20 < taken.memory_peak_bytes <= story.first.memory_bytes
    assert taken.network_received_bytes == story.first.bundle_bytes
    assert taken.network_sent_bytes > 0
    assert taken.gpu is None


async def test_the_agents_own_metrics_show_what_it_takes(story: Story) -> None:
    lines = [line.rsplit(" ", 1) for line in story.shown.splitlines() if not line.startswith("#")]
    values = {name: float(value) for name, value in lines}
    assert all(values[name] > 0 for name in METRICS)


@pytest.mark.long
async def test_the_benchmark_is_kept_on_disk_and_done_again_for_another_limit(stage: Stage, story: Story) -> None:
    kept = stage.folder / "home" / "benchmark.json"
    before = json.loads(kept.read_text())
    assert stage.process is not None
    stage.process.stop()
    stage.process = await stage.start()
    await stage.world.hear(AgentReady, seconds=120)
    assert json.loads(kept.read_text()) == before
    stage.process.stop()
    stage.process = await stage.start(FRAMELEND_AGENT_CPUS="1")
    await until(lambda: json.loads(kept.read_text()) != before, "the benchmark was done with the new limit", 120)
    stage.process.stop()
