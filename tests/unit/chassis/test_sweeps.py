"""How often what is done again and again is done."""

from services.chassis.sweeps import Sweep


async def nothing() -> None:
    pass


def test_a_sweep_comes_in_its_time_and_less_often_when_it_would_take_more_than_its_share() -> None:
    sweep = Sweep("books", 30, nothing, share=0.05)
    assert sweep.rests(took=0.1) == 30
    assert sweep.rests(took=10) == 190


def test_without_a_share_it_rests_as_long_as_was_said_however_long_it_took() -> None:
    assert Sweep("usual", 5, nothing).rests(took=1_000) == 5
