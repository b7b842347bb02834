"""An engine that refuses to end a container is asked again: what nobody may render any more does not go on behind our back."""

from agent.domain import signals
from agent.domain.attempt import End, Ending
from tests.failures.conftest import Infirmary
from tests.failures.proxy import a_door
from tests.failures.ward import Patient, Ward

TIMES = 1


async def _refused(ward: Ward) -> Ending:
    async with a_door(ward.folders.root) as door:
        ward.engine.through(door.address)
        door.kills_to_refuse = TIMES

        async def cancel(patient: Patient) -> None:
            await patient.opened()
            patient.feed(signals.Withdrawn("cancelled by the renter"))

        ending = await ward.fail("slow", meddle=cancel)
        assert door.kills_refused == TIMES, "the kill that ended it was another one"
    return ending


async def test_a_kill_that_the_engine_refuses_is_asked_for_again_and_ends_the_container(infirmary: Infirmary) -> None:
    ending = await infirmary.ending("refused kill", _refused)
    assert ending.end is End.WITHDRAWN
