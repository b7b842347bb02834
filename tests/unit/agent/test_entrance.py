"""What a machine that is kept out of the farm tells its owner: he must not look for a fault of the network."""

import asyncio
from pathlib import Path

from pydantic import SecretStr

from agent.entrance import AWAY, REFUSES, Entrance, Login
from agent.keyring import Keyring, write
from agent.settings import Credential
from agent.status import lines, not_yet
from tests.unit.agent.test_doctor_farm import a_broker_that_refuses, a_free_port, a_server
from tests.waiting import until


def an_entrance(folder: Path, port: int) -> Entrance:
    write(folder / "agent.json", Credential(agent="ann", amqp_url=SecretStr(f"amqp://ann:secret@127.0.0.1:{port}/farm")))
    return Entrance(Keyring(folder / "agent.json"))


async def kept_out(entrance: Entrance, because: Login) -> str | None:
    """What it says while it tries to come in."""
    entering = asyncio.create_task(entrance.enter())
    try:
        await until(lambda: entrance.last is because, f"the broker is heard as {because}", 30)
        return entrance.shut()
    finally:
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)


async def test_a_machine_that_the_broker_refuses_is_told_so_and_where_it_reads_why(tmp_path: Path) -> None:
    async with a_server(a_broker_that_refuses) as port:
        entrance = an_entrance(tmp_path, port)
        assert entrance.shut() == AWAY, "nobody has answered yet"
        assert await kept_out(entrance, Login.REFUSED) == REFUSES
    said = lines(not_yet("ann", entrance.shut()))[1]
    assert all(word in said for word in ("quarantined", "revoked", "enrolled elsewhere", "framelend agents"))


async def test_a_broker_that_is_away_afterwards_is_not_called_a_refusal(tmp_path: Path) -> None:
    async with a_server(a_broker_that_refuses) as port:
        entrance = an_entrance(tmp_path, port)
        await kept_out(entrance, Login.REFUSED)
    write(tmp_path / "agent.json", Credential(agent="ann", amqp_url=SecretStr(f"amqp://ann:s@127.0.0.1:{a_free_port()}/farm")))
    assert await kept_out(entrance, Login.AWAY) == AWAY
