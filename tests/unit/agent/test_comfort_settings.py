"""A lender's agent.toml, the environment above it, and what he is told about a mistake."""

from pathlib import Path

import pytest

from agent.domain.hours import Window
from agent.lender import UnusableSettings, read_lender_file
from agent.settings import AgentSettings
from contracts.values import Acceptance

EXAMPLE = Path("agent/example.toml")
FULL = """
[limits]
cores = 3.5
memory_gb = 6
slots = 2
cache_gb = 0.5
keep_free_gb = 7
upload_mbit = 8
download_mbit = 80
gpus = ["0"]
priority = "normal"
[pause]
idle_minutes = 5
load_cores = 0.5
programs = ["blender", "steam"]
on_battery = true
above_celsius = 80
give_back_minutes = 2
[schedule]
monday = ["22:00-06:00"]
[accept]
minimum_price = 0.25
engines = ["CYCLES"]
maximum_memory_gb = 4
renters = ["acct-1"]
by_hand = true
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRAMELEND_AGENT_FILE", str(tmp_path / "agent.json"))
    monkeypatch.setenv("FRAMELEND_AGENT_DIR", str(tmp_path))
    return tmp_path


def test_every_setting_arrives_in_the_agents_units(folder: Path) -> None:
    (folder / "agent.toml").write_text(FULL)
    found = AgentSettings()
    assert (found.agent_cpus, found.agent_memory_bytes, found.agent_slots) == (3.5, 6_000_000_000, 2)
    assert (found.agent_cache_bytes, found.agent_keep_free_bytes) == (500_000_000, 7_000_000_000)
    assert (found.agent_upload_bytes_per_second, found.agent_download_bytes_per_second) == (1_000_000, 10_000_000)
    assert (found.agent_gpus, found.agent_priority) == (("0",), "normal")
    rules = found.rules
    assert (rules.idle_seconds, rules.load_cores, rules.programs) == (300.0, 0.5, ("blender", "steam"))
    assert (rules.on_battery, rules.hot_celsius, rules.cool_celsius, rules.give_back_seconds) == (False, 80.0, 70.0, 120.0)
    assert rules.hours == (Window(0, 22 * 60, 24 * 60), Window(1, 0, 6 * 60))
    assert found.acceptance == Acceptance(
        minimum_price=250_000, engines=("CYCLES",), memory_bytes=4_000_000_000, renters=("acct-1",), by_hand=True
    )


def test_without_a_file_everything_is_lent_at_all_times_to_everybody(folder: Path) -> None:
    found = AgentSettings()
    assert found.rules.on_battery
    assert (found.rules.idle_seconds, found.rules.hours, found.acceptance) == (None, (), Acceptance())
    assert found.agent_priority == "lowest"


def test_the_environment_comes_before_the_file_setting_by_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "agent.toml").write_text(FULL)
    monkeypatch.setenv("FRAMELEND_AGENT_CPUS", "1")
    monkeypatch.setenv("FRAMELEND_PAUSE__IDLE_MINUTES", "1")
    found = AgentSettings()
    assert (found.agent_cpus, found.agent_slots) == (1.0, 2)
    assert (found.rules.idle_seconds, found.rules.load_cores) == (60.0, 0.5)


def test_a_file_elsewhere_is_named_in_the_environment_and_must_be_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMELEND_AGENT_CONFIG", str(folder / "else.toml"))
    with pytest.raises(UnusableSettings, match=r"else.toml: No such file"):
        AgentSettings()
    (folder / "else.toml").write_text("[limits]\nslots = 4\n")
    assert AgentSettings().agent_slots == 4


def test_the_example_is_usable_and_pauses_by_default(folder: Path) -> None:
    (folder / "agent.toml").write_text(EXAMPLE.read_text())
    rules = AgentSettings().rules
    assert (rules.idle_seconds, rules.load_cores, rules.programs, rules.hot_celsius) == (300.0, 1.0, ("blender",), 85.0)


def test_every_line_of_the_example_that_is_commented_out_is_usable_too(folder: Path) -> None:
    text = EXAMPLE.read_text().splitlines()
    shown = [line[2:] if line.startswith("# ") and (" = " in line or "[" in line[:3]) else line for line in text]
    (folder / "agent.toml").write_text("\n".join(shown))
    found = AgentSettings()
    assert found.agent_gpus == ()
    assert found.rules.cool_celsius == 75.0
    assert len(found.rules.hours) == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[pause]\nidle_minuts = 5", "pause.idle_minuts: there is no such setting"),
        ("[pause]\nidle_minutes = 0", "pause.idle_minutes: Input should be greater than 0"),
        ("[pause]\nabove_celsius = 70\nresume_celsius = 75", "pause: resume_celsius must be below above_celsius"),
        ("[schedule]\nmonday = ['8-9']", "schedule: '8-9' is no time of day: write it like 22:00-06:00"),
        ("[schedule]\nmontag = ['08:00-09:00']", "schedule.montag: there is no such setting"),
        ("[limits]\nmemory_gb = 'much'", "limits.memory_gb: Input should be a valid number"),
        ("[accept]\nrenters = ['Bad Id']", "accept.renters.0: String should match pattern"),
        ("[limits\ncores = 2", "is no TOML file: Expected ']' at the end of a table declaration"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(UnusableSettings) as mistake:
        read_lender_file(path)
    assert str(mistake.value).startswith(str(path))
    assert words in str(mistake.value)
