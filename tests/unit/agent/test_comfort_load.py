"""What other programs use is told from what our own do, or it is unknown."""

import os
from pathlib import Path

import pytest

from agent.domain.comfort import Rules, objections, unknown
from agent.sensors import Roots, Sensors
from agent.sensors_load import Load
from tests.unit.agent.machine_tree import BOX, HZ, Tree

NONE: frozenset[str] = frozenset()
OURS = frozenset({BOX})


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def a_child(tree: Tree, seconds: float, niceness: int = 0, number: int = 77) -> None:
    """Of the agent's own."""
    tree.put(tree.proc / "self/task/12/children", f"{number} ")
    ticks = f"{int(seconds * HZ)} 0 0 0"
    tree.put(tree.proc / f"{number}/stat", f"{number} (python3) S {'0 ' * 10}{ticks} 20 {niceness} 1 0 0\n")


def test_a_render_at_normal_priority_in_a_cgroup_that_cannot_be_read_is_unknown_and_no_reason_to_pause(tree: Tree) -> None:
    """The control: without a container the same use is somebody else's."""
    rules, roots = Rules(load_cores=1.0), Roots(tree.proc, tree.sys, tree.dev)
    ours, others = Sensors(rules, roots, lambda: OURS), Sensors(rules, roots, lambda: NONE)
    for sensors, cores, reasons, missing in ((ours, None, 0, 1), (others, 4.0, 1, 0)):
        tree.cpu(100.0)
        sensors.read(0.0, None)
        tree.cpu(104.0, nice=0.05)
        facts = sensors.read(1.0, None)
        assert facts.other_cores == (cores if cores is None else pytest.approx(cores, abs=0.1))
        assert (len(objections(rules, facts, was_hot=False)), len(unknown(rules, facts))) == (reasons, missing)


def test_one_at_the_lowest_priority_is_known_there_too_and_stays_so_while_it_stands_still_for_the_owners_program(
    tree: Tree,
) -> None:
    load = Load(tree.proc, tree.sys)
    tree.cpu(100.0)
    load.other_cores(0.0, OURS)
    tree.cpu(100.1, nice=2.0)
    assert load.other_cores(1.0, OURS) == pytest.approx(0.1, abs=0.02)
    for second in range(2, 6):
        tree.cpu(100.1 + 3 * second, nice=2.0)
        last = load.other_cores(float(second), OURS)
    assert last == pytest.approx(3.0)


def test_a_container_that_ends_is_not_taken_for_another_program_though_the_agent_itself_is_niced(tree: Tree) -> None:
    load = Load(tree.proc, tree.sys)
    tree.cpu(100.0)
    tree.box(50.0)
    load.other_cores(0.0, OURS)
    tree.cpu(104.0, nice=6.0)
    a_child(tree, 6.0, niceness=10)
    assert load.other_cores(1.0, NONE) is None


def test_a_docker_without_root_keeps_its_containers_cgroups_in_its_users_own_slice(tree: Tree) -> None:
    load, user = Load(tree.proc, tree.sys), os.getuid()
    own = tree.sys / f"fs/cgroup/user.slice/user-{user}.slice/user@{user}.service/user.slice/docker-{BOX}.scope/cpu.stat"
    tree.cpu(100.0)
    tree.put(own, "usage_usec 50000000\n")
    load.other_cores(0.0, OURS)
    tree.cpu(102.5)
    tree.put(own, "usage_usec 52000000\n")
    assert load.other_cores(1.0, OURS) == pytest.approx(0.5)


@pytest.mark.parametrize("niceness", [0, 10])
def test_what_the_agents_children_use_is_its_own_once_whether_niced_or_not(tree: Tree, niceness: int) -> None:
    """A decoder, and renders without a container. What is niced the kernel has counted as such already."""
    load, niced = Load(tree.proc, tree.sys), bool(niceness)
    tree.cpu(100.0, nice=5.0)
    a_child(tree, 10.0, niceness)
    load.other_cores(0.0, NONE)
    tree.cpu(102.5 - 2.0 * niced, nice=5.0 + 2.0 * niced)
    a_child(tree, 12.0, niceness)
    assert load.other_cores(1.0, NONE) == pytest.approx(0.5)


def test_a_child_that_is_overlooked_once_or_has_just_been_waited_for_makes_no_load(tree: Tree) -> None:
    load = Load(tree.proc, tree.sys)
    tree.cpu(100.0, own=1.0)
    a_child(tree, 300.0)
    load.other_cores(0.0, NONE)
    tree.put(tree.proc / "self/task/12/children", "")
    tree.cpu(100.2, own=1.0)
    assert load.other_cores(1.0, NONE) == pytest.approx(0.2)
    tree.cpu(100.4, own=301.2)
    assert load.other_cores(2.0, NONE) == 0.0
