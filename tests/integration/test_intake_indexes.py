"""What intake asks again and again stays cheap however long a job has lived."""

from typing import Any

from contracts.topology import INTAKE
from services.chassis.clock import DatabaseClock
from services.intake.domain.timeline import Entry
from services.intake.repository.timeline import Timeline
from tests.integration.world import World

LONG = 300


def entries(job: str, numbers: range) -> list[Entry]:
    return [Entry(f"{job}.{number}", job, "frames.stored", "stored", {}) for number in numbers]


async def test_an_entry_is_appended_without_walking_the_story_before_it(world: World) -> None:
    database = world.database(INTAKE)
    collection: Any = database["stories"]
    timeline = Timeline(collection, DatabaseClock(database))
    await timeline.ensure_indexes()
    await timeline.append([*entries("long", range(LONG)), *entries("other", range(LONG))])
    await database.command("profile", 2)
    await timeline.append([entry for job in ("long", "other") for entry in entries(job, range(LONG, LONG + 1))])
    await timeline.append([*entries("long", range(LONG + 1, LONG + 2)), *entries("new", range(1))])
    newest = {"$group": {"_id": "$job", "number": {"$max": "$number"}}}
    await collection.aggregate([{"$match": {"job": "long"}}, newest]).to_list(None)
    await database.command("profile", 0)
    walked = [one async for one in database["system.profile"].find({"ns": collection.full_name, "keysExamined": {"$gte": LONG}})]
    assert ["aggregate" in one["command"] for one in walked] == [True], "the control alone"
    assert [line.number for line in await timeline.after("long", LONG)] == [LONG + 1, LONG + 2]
    assert [line.number for line in await timeline.after("new", 0)] == [1]
