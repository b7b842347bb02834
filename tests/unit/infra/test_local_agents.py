"""Agents of a farm that has moved: they follow the broker to another port, and choose ports that are free."""

import json
import socket
from pathlib import Path

import pytest

from agent.keyring import Keyring, address
from agent.settings import Credential
from infra.local import agents, farmfile
from infra.local.agents import Lent
from infra.local.farmfile import FarmFile
from infra.local.layout import Layout

LENA, LEO = Lent("lena-1", "lena", "Lena's"), Lent("leo-1", "leo", "Leo's")


@pytest.fixture(name="layout")
def a_layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "farm")
    layout.make()
    (layout.data("prometheus") / "agents").mkdir(parents=True)
    return layout


def started(layout: Layout) -> FarmFile:
    """What `up` does about files before anything runs."""
    farm = farmfile.prepare(layout, "unix:///docker.sock")
    agents.forget_former(layout)
    return farm


def keyring(layout: Layout, lent: Lent, port: int) -> Keyring:
    """Of an agent that was enrolled when the broker was at this port, and is about to change its secret."""
    found = Keyring(layout.data("agents") / lent.agent / "agent.json")
    broker = f"amqp://127.0.0.1:{port}/farm"
    found.keep(Credential(agent=lent.agent, amqp_url=address(broker, lent.agent, "s3cret"), image="sha256:" + "a" * 64))
    found.prepare(Credential(agent=lent.agent, amqp_url=address(broker, lent.agent, "n3xt"), offer="offer-1"))
    return found


def port_of(layout: Layout, lent: Lent) -> int:
    return int(str(agents.part(layout, farmfile.read(layout), lent).address).rsplit(":", 1)[1])


def targets(layout: Layout) -> set[str]:
    return {path.stem for path in (layout.data("prometheus") / "agents").iterdir()}


def test_an_enrolled_agent_follows_the_broker_to_its_new_port_and_stays_who_it_is(layout: Layout) -> None:
    farm = started(layout)
    before = keyring(layout, agents.HOUSE, port=1)
    known = before.current()
    agents.enrol(layout, farm, agents.HOUSE)
    there = f"127.0.0.1:{farm.port('AMQP')}/farm"
    assert before.current().amqp_url.get_secret_value() == f"amqp://house:s3cret@{there}"
    assert before.current() == known.model_copy(update={"amqp_url": before.current().amqp_url})
    fresh = before.next()
    assert fresh is not None
    assert (fresh.amqp_url.get_secret_value(), fresh.offer) == (f"amqp://house:n3xt@{there}", "offer-1")
    assert {path.stat().st_mode & 0o777 for path in before.file.parent.iterdir()} == {0o600}


def test_a_credential_that_is_right_is_not_written_again(layout: Layout) -> None:
    farm = started(layout)
    file = keyring(layout, agents.HOUSE, farm.port("AMQP")).file
    before = file.stat().st_ino
    agents.enrol(layout, farm, agents.HOUSE)
    assert file.stat().st_ino == before


def test_a_broken_next_credential_stops_nobody(layout: Layout) -> None:
    farm = started(layout)
    found = keyring(layout, agents.HOUSE, port=1)
    found.file.with_name("agent.json.next").write_text("{")
    agents.enrol(layout, farm, agents.HOUSE)
    assert f":{farm.port('AMQP')}/" in found.current().amqp_url.get_secret_value()


def test_an_agents_port_is_kept_while_the_farm_is_up(layout: Layout) -> None:
    started(layout)
    first = port_of(layout, LENA)
    assert port_of(layout, LEO) != first
    assert port_of(layout, LENA) == first


def test_a_port_that_was_taken_meanwhile_is_chosen_anew(layout: Layout) -> None:
    started(layout)
    first = port_of(layout, LENA)
    with socket.create_server(("127.0.0.1", first)):
        started(layout)
        assert port_of(layout, LENA) != first


def test_former_lenders_leave_neither_ports_nor_targets(layout: Layout) -> None:
    started(layout)
    port_of(layout, LENA)
    port_of(layout, LEO)
    assert targets(layout) == {"lena-1", "leo-1"}
    started(layout)
    port_of(layout, LEO)
    assert targets(layout) == {"leo-1"}
    assert [name for name in farmfile.read(layout).values if "LENA" in name] == []
    told = json.loads((layout.data("prometheus") / "agents" / "leo-1.json").read_text())
    assert told == [{"targets": [f"127.0.0.1:{port_of(layout, LEO)}"], "labels": {"agent": "leo-1"}}]
