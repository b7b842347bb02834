"""What goes into an image: exactly the locked packages it needs, and a hash that notices every change."""

from pathlib import Path

from agent.lockdown import UID
from agent.process import shared_user
from infra.images import wheels
from infra.images.ours import HERE, LOCK
from infra.local.layout import CHECKOUT


def pins(extra: str) -> set[str]:
    return {line.split("==")[0] for line in wheels.locked(extra, LOCK).splitlines() if "==" in line and line[0].isalpha()}


def test_the_agents_image_holds_no_database_driver_and_no_service_holds_docker() -> None:
    agent, services = pins("agent"), pins("services")
    assert "docker" in agent - services
    assert {"motor", "faststream", "aioboto3"} <= services - agent
    assert {"aio-pika", "pydantic", "pamqp"} <= agent & services


def test_tools_of_developers_are_in_no_image() -> None:
    assert {"pytest", "mypy", "ruff", "hypothesis"}.isdisjoint(pins("agent") | pins("services"))


def test_every_pin_of_an_image_carries_a_hash_and_no_address() -> None:
    text = wheels.locked("services", LOCK)
    assert text.count("==") == sum("--hash=sha256:" in part for part in text.replace("\\\n", " ").splitlines())
    assert "://" not in text


def test_the_hash_of_inputs_changes_with_a_files_content_and_with_its_name(tmp_path: Path) -> None:
    place = CHECKOUT / "build" / tmp_path.name
    place.mkdir(parents=True)
    first, second = place / "first", place / "second"
    first.write_text("one")
    before = wheels.digest([first])
    assert wheels.digest([first]) == before
    first.write_text("two")
    changed = wheels.digest([first])
    second.write_text(first.read_text())
    assert len({before, changed, wheels.digest([second])}) == 3
    second.unlink()
    first.unlink()
    place.rmdir()


def test_the_agent_in_its_image_is_not_the_user_that_strangers_scenes_run_as() -> None:
    """And where somebody gives it that number all the same, it says so and does not start."""
    lines = (HERE / "agent/Dockerfile").read_text(encoding="utf-8").splitlines()
    (user,) = [line.removeprefix("USER ") for line in lines if line.startswith("USER ")]
    number, group = map(int, user.split(":"))
    assert UID not in (number, group)
    assert 0 not in (number, group)
    assert shared_user(number) is None
    assert "render containers" in (shared_user(UID) or "")
