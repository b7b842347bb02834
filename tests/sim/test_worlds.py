"""Small worlds: whatever goes wrong in them, nothing is lost and nothing is counted twice."""

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.policy import Policy
from tests.sim import measures, naive, replay, worlds
from tests.sim.setting import CALM, ROUGH, Nature, Order, Setting, Weather, natures, scene
from tests.sim.world import World

STORM = Weather(
    slow=0.2, vanish_per_hour=0.9, liars=0.2, lost_mail=0.1, lost_pulses=0.1, repeated=0.1, latency=1.0
)  # fmt: skip


def lived(setting: Setting, policy: Policy | None = None, dispatch: type[Dispatch] = Dispatch) -> World:
    world = World(setting, policy, dispatch)
    asyncio.run(world.run())
    measures.verify(world)
    return world


def small(seed: int, weather: Weather, agents: int = 12, frames: int = 150) -> Setting:
    return Setting(seed, agents, (Order("film", "ada", frames, 8.0), Order("short", "bert", 10, 8.0, at=40.0)), weather, tick=0.2)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), weather=st.sampled_from((CALM, ROUGH, STORM)))
def test_every_frame_is_stored_exactly_once_in_any_weather(seed: int, weather: Weather) -> None:
    world = lived(small(seed, weather))
    assert not world.failed


def test_the_same_seed_is_the_same_world() -> None:
    first, second = (measures.outcome(lived(small(7, STORM))) for _ in range(2))
    assert first == second


def test_no_policy_beats_the_lower_bound() -> None:
    for seed in range(3):
        assert measures.outcome(lived(small(seed, CALM))).ratio > 1.0


def test_a_farm_without_policy_does_everything_too_only_later() -> None:
    setting = worlds.film(1, CALM, agents=20, frames=600, seconds=8.0)
    ours, theirs = lived(setting), lived(setting, naive.fixed(Policy()), naive.Fifo)
    assert measures.outcome(ours).makespan < measures.outcome(theirs).makespan


def test_several_renters_are_served_in_their_order_where_there_is_no_policy() -> None:
    orders = tuple(Order(f"film-{9 - at}", f"renter-{at}", 30, 8.0, at=at) for at in range(3))
    world = lived(Setting(1, 3, orders, CALM, tick=0.2), naive.fixed(Policy()), naive.Fifo)
    assert sorted(world.ended, key=lambda job: world.ended[job]) == ["film-9", "film-8", "film-7"]


def test_copies_of_the_last_chunks_end_a_job_earlier_at_little_cost_when_machines_are_slower_than_they_say() -> None:
    """Control: the same world without copies."""
    setting = worlds.film(12, ROUGH, agents=20, frames=600, seconds=8.0)
    with_, without = measures.outcome(lived(setting)), measures.outcome(lived(setting, Policy(copy_percent=0)))
    assert with_.makespan < without.makespan
    assert with_.duplicate <= 0.05


@pytest.mark.parametrize("weather", [Weather(broken=0.25), Weather(boasting=0.25)], ids=["broken", "boasting"])
def test_machines_that_fail_or_boast_are_kept_away_and_the_work_gets_done_by_the_others(weather: Weather) -> None:
    """Control: without the rules they are given chunk after chunk."""
    orders = tuple(Order(f"film-{renter}", renter, 80, 8.0) for renter in ("ada", "bert", "cora", "dora"))
    setting = Setting(3, 12, orders, weather, tick=0.2)
    assert sum(one.is_broken or one.is_boasting for one in natures(setting)) in range(2, 6)
    careless = Policy(failures=10**6, quarantine_renters=10**6)
    found = []
    for policy in (Policy(), careless):
        world = lived(setting, policy)
        assert not world.failed
        found.append(sum(machine.failures for machine in world.machines.values()))
    assert found[0] * 2 < found[1], found


def test_a_machine_that_pulses_and_renders_nothing_holds_a_job_up_for_minutes() -> None:
    """Control: with nothing but what all its frames may take together it is much longer."""
    setting = Setting(1, 10, (Order("film", "ada", 600, 1.0),), Weather(hanging=0.1), tick=0.2)
    assert sum(one.is_hanging for one in natures(setting)) == 1
    a_frame = Policy().frame_floor + Policy().slack
    patient = Policy(slack=10 * a_frame)
    found = [measures.outcome(lived(setting, policy)).makespan for policy in (Policy(), patient)]
    assert found[0] < 1.5 * a_frame < 3 * a_frame < found[1], found


def test_a_short_job_behind_a_long_one_starts_within_one_chunk_time_and_first_come_first_served_makes_it_wait() -> None:
    setting = worlds.queue(1, agents=10, frames=1_500, short=1)
    for dispatch, policy, waits in ((Dispatch, Policy(), False), (naive.Fifo, naive.fixed(Policy()), True)):
        world = World(setting, policy, dispatch)
        asyncio.run(world.run(["short-0"]))
        assert (world.first["short-0"] - world.accepted["short-0"] > Policy().chunk) is waits


def test_the_lowest_bidder_gets_his_twentieth_of_a_fair_share_and_the_highest_most() -> None:
    """Control: first come, first served gives those who come later nothing."""
    setting = worlds.bids(1, CALM, agents=20, frames=600)
    cheap_last = replace(setting, orders=tuple(reversed(setting.orders)))
    found = []
    for dispatch, policy in ((Dispatch, Policy()), (naive.Fifo, naive.fixed(Policy()))):
        world = World(cheap_last, policy, dispatch)
        asyncio.run(world.run(["bid-10000"]))
        found.append(measures.least_share(world, list(world.orders)))
        assert world.done.most_common(1)[0][0] == "bid-10000"
    assert found[1] < 0.05 <= found[0], found


def test_ten_equal_agents_are_several_times_as_fast_as_one() -> None:
    one, ten = (measures.outcome(lived(worlds.equals(1, agents, frames=300))).makespan for agents in (1, 10))
    assert one / ten > 7


@pytest.mark.parametrize("path", sorted(replay.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_run_of_the_real_farm_takes_about_as_long_in_the_simulator(path: Path) -> None:
    recording = replay.load(path)
    world = lived(replay.setting(recording), Policy(chunk=recording.chunk_seconds))
    assert measures.outcome(world).makespan == pytest.approx(recording.makespan, rel=0.15)


# --- the yardsticks themselves


def test_the_lower_bound_counts_machines_only_as_long_as_they_are_there() -> None:
    stays, leaves = Nature(1.0, 1.0, 1.0), Nature(1.0, 1.0, 1.0, leaves_at=10.0)
    assert measures.lower_bound(30.0, [stays, leaves], 0.0) == 20.0
    assert measures.lower_bound(30.0, [stays, leaves], 5.0) == 25.0
    with pytest.raises(ValueError):
        measures.lower_bound(30.0, [leaves], 0.0)


def test_fairness_is_one_among_equals_and_one_nth_for_one_taker() -> None:
    assert measures.jain([5.0, 5.0, 5.0]) == pytest.approx(1.0)
    assert measures.jain([9.0, 0.0, 0.0]) == pytest.approx(1 / 3)


@given(seed=st.integers(0, 1000), frames=st.integers(1, 300), seconds=st.floats(0.1, 100))
def test_a_scene_costs_what_was_ordered(seed: int, frames: int, seconds: float) -> None:
    order = Order("film", "ada", frames, seconds)
    costs = scene(Setting(seed, 1, (order,)), order)
    assert len(costs) == frames
    assert math.isclose(sum(costs), seconds * 1e6 * frames, rel_tol=0.01)


def test_a_fifth_of_the_machines_leaves_within_an_hour() -> None:
    there = natures(Setting(1, 4_000, (), ROUGH))
    assert 0.17 < sum(one.leaves_at < 3600 for one in there) / len(there) < 0.23
    assert 0.08 < sum(one.rate < 0.5 * one.shown for one in there if one.told == 1.0) / len(there) < 0.12
