"""What an owner reads of his agent and of his machine."""

from typing import Any

from typer.testing import CliRunner

from agent.cli import app
from agent.doctor import Finding, line
from agent.entrance import AWAY
from agent.status import lines, not_yet

TOLD: dict[str, Any] = {
    "agent": "ann-1",
    "state": "frozen",
    "reasons": ["somebody is at the machine", "it runs on battery"],
    "unknown": ["how hot it is"],
    "connected": True,
    "gives_up": None,
    "gpus": [
        {"name": "RTX 3090", "memory_bytes": 25_769_803_776, "id": "GPU-1", "benchmark": {"cpu_micros": 1, "wall_micros": 1}},
        {"name": "RTX 2080", "memory_bytes": 8_366_587_904, "id": "GPU-2", "benchmark": None},
    ],
    "gpus_idle": ["GPU RTX 2080 is not lent: its owner left it out"],
    "lent": {"slots": 2, "cores": 3.5, "memory_bytes": 12_000_000_000, "priority": "lowest"},
    "attempts": [{"job": "job-1", "frame": 7, "frame_started_seconds_ago": 12.4, "text": "paused by its lender"}],
    "refused": [{"at": "2026-11-21T12:00:00.123+00:00", "job": "job-2", "why": "too cheap"}],
    "today": {"rendered": 12, "delivered": 11, "cpu_seconds": 600.0, "expected_micro": 1_250_000},
    "unconfirmed_events": 0,
    "metrics": "http://127.0.0.1:9464/metrics",
}


def test_every_reason_and_everything_in_hand_is_told_in_a_line_of_its_own() -> None:
    assert lines(TOLD) == [
        "ann-1: frozen",
        "  because somebody is at the machine",
        "  because it runs on battery",
        "  cannot be known on this machine: how hot it is",
        "lends 3.5 cores and 12.0 GB to 2 chunks at a time, priority lowest",
        "lends GPU RTX 3090, 25.8 GB",
        "GPU RTX 2080 is not lent: its owner left it out",
        "job job-1, frame 7 since 12 s: paused by its lender",
        "today: 12 frames rendered in 10.0 CPU minutes, 11 delivered, "
        "worth 1.2500 credits once verified (paid: `framelend earnings`)",
        "tells Prometheus its numbers at http://127.0.0.1:9464/metrics",
        "refused at 2026-11-21T12:00:00Z: job job-2: too cheap",
    ]


def test_an_agent_of_before_that_was_not_restarted_since_can_be_asked_too() -> None:
    without = {name: value for name, value in TOLD.items() if name != "gpus_idle"}
    assert lines(without) == [line for line in lines(TOLD) if "not lent" not in line]


def test_before_the_broker_was_reached_there_is_a_reason_too() -> None:
    assert lines(not_yet("ann-1", AWAY))[1] == "  because the broker is away; it is tried again all the time"
    assert lines(not_yet("ann-1", None))[1] == "  because it is only starting"


def test_a_finding_says_how_to_mend_it_only_when_it_is_bad() -> None:
    assert line(Finding("disk", True, "9 GB", "Free some.")) == "ok  disk: 9 GB"
    assert line(Finding("disk", False, "1 GB", "Free some.")) == "BAD disk: 1 GB\n      Free some."
    assert line(Finding("GPU", None, "none")) == "-   GPU: none"


def test_commands_to_an_agent_that_does_not_run_say_how_to_start_it(tmp_path: Any) -> None:
    env = {"FRAMELEND_AGENT_FILE": str(tmp_path / "agent.json"), "FRAMELEND_AGENT_DIR": str(tmp_path / "none")}
    for command in ("status", "pause", "resume"):
        done = CliRunner().invoke(app, [command], env=env)
        assert done.exit_code == 1
        assert "framelend-agent run" in done.output


def test_the_example_settings_are_printed_as_they_are_read() -> None:
    done = CliRunner().invoke(app, ["example-settings"])
    assert done.exit_code == 0
    assert "[pause]" in done.output


def test_an_agent_without_a_sandbox_says_what_it_gives_up() -> None:
    assert any("WITHOUT A SANDBOX: everything" in one for one in lines({**TOLD, "gives_up": "everything"}))
