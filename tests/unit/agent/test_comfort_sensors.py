"""What a machine shows of its owner, read from folders that look like one."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.domain.comfort import Rules, unknown
from agent.sensors import Roots, Sensors
from agent.sensors_load import Load, Programs
from agent.sensors_person import Person
from agent.sensors_power import celsius, on_battery
from tests.unit.agent.machine_tree import BOX, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


# --- the person


def a_person(tree: Tree) -> Person:
    return Person(tree.proc, tree.sys, tree.dev)


def test_keys_of_a_built_in_keyboard_and_a_touchpad_are_seen_and_a_busy_disk_is_not(tree: Tree) -> None:
    person = a_person(tree)
    tree.interrupts(5)
    assert person.idle_seconds(100.0) == 0.0
    tree.interrupts(5, disk=1_000)
    assert person.idle_seconds(160.0) == 60.0
    tree.interrupts(6, disk=1_000)
    assert person.idle_seconds(161.0) == 0.0
    tree.interrupts(6, disk=2_000, touchpad=3)
    assert person.idle_seconds(162.0) == 0.0


def test_a_usb_keyboard_or_mouse_that_has_something_to_say_is_seen_and_a_ups_or_a_disk_is_not(tree: Tree) -> None:
    person = a_person(tree)
    tree.usb("1-2", 10)
    tree.usb("1-3", 10, protocol="02")
    tree.usb("1-4", 10, protocol="00")
    tree.usb("1-5", 10, kind="08")
    person.idle_seconds(0.0)
    tree.usb("1-4", 500, protocol="00")
    tree.usb("1-5", 500, kind="08")
    assert person.idle_seconds(50.0) == 50.0
    tree.usb("1-3", 11, protocol="02")
    assert person.idle_seconds(51.0) == 0.0
    tree.usb("1-2", 11)
    assert person.idle_seconds(52.0) == 0.0


def test_a_keyboard_plugged_in_later_is_found(tree: Tree) -> None:
    person = a_person(tree)
    tree.interrupts(1)
    person.idle_seconds(0.0)
    tree.usb("2-1", 1)
    assert person.idle_seconds(20.0) == 0.0
    assert person.idle_seconds(25.0) == 5.0


@pytest.mark.parametrize("ahead", [0, 8 * 3_600])
def test_typing_in_a_terminal_counts_and_a_stamp_of_a_clock_that_was_ahead_at_boot_does_not(tree: Tree, ahead: int) -> None:
    """A clock that keeps local time is read as if it kept UTC, and set right once the network is there."""
    tree.terminal("pts/0", time.time() - 30)
    tree.terminal("tty1", time.time() + ahead)
    person = a_person(tree)
    assert person.idle_seconds(0.0) == 0.0
    assert person.idle_seconds(500.0) == 500.0
    tree.terminal("pts/0", time.time())
    assert person.idle_seconds(501.0) == 0.0
    assert person.idle_seconds(502.0) == 1.0
    tree.terminal("pts/1", time.time() - 8 * 3_600)
    assert person.idle_seconds(520.0) == 0.0


def test_a_machine_without_any_of_these_does_not_pretend(tree: Tree) -> None:
    assert a_person(tree).idle_seconds(0.0) is None


# --- other programs


@pytest.mark.parametrize("version", [1, 2])
def test_what_our_containers_and_we_ourselves_use_is_not_somebody_elses(tree: Tree, version: int) -> None:
    load, boxes = Load(tree.proc, tree.sys), frozenset({BOX})
    tree.cpu(100.0)
    tree.box(50.0, version)
    assert load.other_cores(0.0, boxes) is None
    tree.cpu(103.0, own=0.5)
    tree.box(52.0, version)
    assert load.other_cores(1.0, boxes) == pytest.approx(0.5)
    assert Load(tree.proc, tree.sys).other_cores(1.0, boxes) is None


def test_without_knowing_our_containers_their_use_would_count(tree: Tree) -> None:
    load = Load(tree.proc, tree.sys)
    tree.cpu(100.0)
    tree.box(50.0)
    load.other_cores(0.0, frozenset())
    tree.cpu(102.0)
    tree.box(52.0)
    assert load.other_cores(1.0, frozenset()) == pytest.approx(2.0)


def test_niced_time_is_our_containers_where_their_cgroups_do_not_tell(tree: Tree) -> None:
    load = Load(tree.proc, tree.sys)
    tree.cpu(100.0, nice=10.0)
    load.other_cores(0.0, frozenset())
    tree.cpu(100.2, nice=12.0)
    assert load.other_cores(1.0, frozenset()) == pytest.approx(0.2, abs=0.05)


def test_a_container_that_ends_is_not_taken_for_another_program(tree: Tree) -> None:
    load = Load(tree.proc, tree.sys)
    tree.cpu(100.0)
    tree.box(50.0)
    load.other_cores(0.0, frozenset({BOX}))
    tree.cpu(104.0)
    assert load.other_cores(1.0, frozenset()) is None
    tree.cpu(104.3)
    assert load.other_cores(2.0, frozenset()) == pytest.approx(0.3)


def test_his_own_blender_is_found_and_one_in_our_container_is_not(tree: Tree) -> None:
    programs, boxes = Programs(tree.proc, ("blender", "a-very-long-program-name")), frozenset({BOX})
    tree.process(7, "bash")
    tree.process(8, "blender", f"/docker/{BOX}")
    assert programs.running(boxes) is None
    tree.process(9, "bash")
    assert programs.running(boxes) is None
    tree.process(9, "blender")
    assert programs.running(boxes) == "blender"
    shutil.rmtree(tree.proc / "9")
    assert programs.running(boxes) is None
    tree.process(10, "a-very-long-pro")
    assert programs.running(boxes) == "a-very-long-pro"


def test_an_old_process_that_becomes_blender_is_found_after_a_while(tree: Tree) -> None:
    programs = Programs(tree.proc, ("blender",))
    tree.process(7, "launcher")
    for _ in range(5):
        programs.running(frozenset())
    tree.process(7, "blender")
    assert "blender" in [programs.running(frozenset()) for _ in range(60)]


def test_in_a_container_of_its_own_it_does_not_pretend_to_see_the_owners_programs(tree: Tree) -> None:
    """The control: in the namespace that the kernel starts with it sees them all."""
    rules, roots = Rules(programs=("blender",)), Roots(tree.proc, tree.sys, tree.dev)
    for number, sees_all in ((4_026_531_836, True), (4_026_532_217, False)):
        tree.namespace(number)
        found = Sensors(rules, roots, frozenset).read(0.0, None)
        assert found.sees_all is sees_all
        assert len(unknown(rules, found)) == (0 if sees_all else 1)


# --- power and heat


def test_a_laptop_on_its_battery_is_told_from_one_on_its_line_and_from_a_desktop_with_a_wireless_mouse(tree: Tree) -> None:
    assert on_battery(tree.sys) is None
    tree.supply("mouse", type="Battery", scope="Device", status="Discharging")
    assert on_battery(tree.sys) is None
    tree.supply("BAT0", type="Battery", status="Discharging")
    assert on_battery(tree.sys) is True
    tree.supply("AC", type="Mains", online="1")
    assert on_battery(tree.sys) is False
    tree.supply("AC", type="Mains", online="0")
    assert on_battery(tree.sys) is True


def test_a_machine_without_a_battery_is_not_on_one_though_its_usb_port_or_its_line_is_not_in_use(tree: Tree) -> None:
    tree.supply("ucsi-source-psy-USBC000:001", type="USB", scope="System", online="0")
    assert on_battery(tree.sys) is False
    tree.supply("BAT0", type="Battery", present="0", status="Discharging")
    tree.supply("AC", type="Mains", online="0")
    assert on_battery(tree.sys) is False
    tree.supply("BAT0", present="1")
    assert on_battery(tree.sys) is True


def test_the_hottest_processor_counts_and_neither_a_disk_nor_a_broken_sensor(tree: Tree) -> None:
    assert celsius(tree.sys) is None
    tree.chip(0, "nvme", 95_000)
    assert celsius(tree.sys) is None
    tree.chip(1, "k10temp", 61_500, 70_250)
    tree.chip(2, "coretemp", 255_000)
    assert celsius(tree.sys) == 70.25
    tree.put(tree.sys / "class/thermal/thermal_zone0/type", "x86_pkg_temp\n")
    tree.put(tree.sys / "class/thermal/thermal_zone0/temp", "81000\n")
    assert celsius(tree.sys) == 81.0


# --- the hours


@pytest.fixture
def tokyo_from_now_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """What the C library reads when it is asked to read the zone again. By TZ: a test does not write to this machine's /etc."""
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield lambda: monkeypatch.setenv("TZ", "JST-9")
    monkeypatch.undo()
    time.tzset()


def test_hours_are_those_of_the_zone_that_a_machine_has_travelled_to(tree: Tree, tokyo_from_now_on: Callable[[], None]) -> None:
    zone = tree.dev.parent / "etc/localtime"
    tree.put(zone, "the zone of home")
    sensors = Sensors(Rules(), Roots(tree.proc, tree.sys, tree.dev, zone), frozenset)
    tokyo_from_now_on()
    assert sensors.read(0.0, None).local.utcoffset() == timedelta(0)
    zone.unlink()
    tree.put(tree.dev.parent / "tokyo", "another zone")
    zone.symlink_to(tree.dev.parent / "tokyo")
    assert sensors.read(1.0, None).local.utcoffset() == timedelta(hours=9)


# --- all of them


def test_only_what_a_rule_asks_for_is_read(tree: Tree) -> None:
    tree.interrupts(1)
    tree.chip(1, "k10temp", 61_500)
    tree.supply("BAT0", type="Battery", status="Discharging")
    roots = Roots(tree.proc, tree.sys, tree.dev)
    nothing = Sensors(Rules(), roots, frozenset).read(0.0, None)
    assert (nothing.idle_seconds, nothing.on_battery, nothing.celsius, nothing.other_cores) == (None, None, None, None)
    rules = Rules(idle_seconds=60.0, on_battery=False, hot_celsius=80.0)
    found = Sensors(rules, roots, frozenset).read(0.0, "paused by hand")
    assert (found.idle_seconds, found.on_battery, found.celsius, found.paused) == (0.0, True, 61.5, "paused by hand")


def test_this_very_machine_can_be_read(tmp_path: Path) -> None:
    rules = Rules(idle_seconds=60.0, load_cores=1.0, programs=("blender",), on_battery=False, hot_celsius=80.0)
    sensors = Sensors(rules, Roots(), frozenset)
    sensors.read(0.0, None)
    assert sensors.read(1.0, None).other_cores is not None
