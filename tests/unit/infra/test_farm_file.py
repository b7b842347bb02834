"""farm.env and the ports in it."""

import socket
from pathlib import Path

import pytest

import infra.demo.__main__ as demo
from infra.local import farmfile, ports
from infra.local.failure import FarmError
from infra.local.layout import Layout
from infra.local.services import environment


def a_layout(folder: Path) -> Layout:
    layout = Layout(folder / "farm")
    layout.make()
    return layout


def test_no_port_is_given_twice() -> None:
    chosen = ports.choose(dict.fromkeys("abc", 20_000))
    assert len(set(chosen.values())) == 3


def test_a_listening_port_is_not_free_and_a_closed_one_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_secrets_are_made_once_and_differ_between_farms(tmp_path: Path) -> None:
    one = a_layout(tmp_path / "one")
    first, again = (farmfile.prepare(one, "unix:///docker.sock") for _ in range(2))
    other = farmfile.prepare(a_layout(tmp_path / "two"), "unix:///docker.sock")
    assert {name: first[name] for name in farmfile.SECRETS} == {name: again[name] for name in farmfile.SECRETS}
    assert all(first[name] != other[name] for name in farmfile.SECRETS)


def test_only_the_owner_can_read_the_secrets(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    farmfile.prepare(layout, "unix:///docker.sock")
    assert layout.env_file.stat().st_mode & 0o077 == 0
    assert layout.root.stat().st_mode & 0o077 == 0


def test_what_others_wrote_into_the_file_is_kept(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    farmfile.write(layout, {"FARM_RENDER_IMAGE": "sha256:abc"})
    farmfile.prepare(layout, "unix:///docker.sock")
    farmfile.remember(layout, FARM_AGENT_PORT="9")
    assert farmfile.read(layout)["FARM_RENDER_IMAGE"] == "sha256:abc"
    assert farmfile.read(layout)["FARM_AGENT_PORT"] == "9"


def test_a_demo_leaves_its_settings_to_no_other_farm(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    demo._settings(layout, "sha256:abc")
    hasty = demo._brisk(farmfile.prepare(layout, "unix:///docker.sock"))
    later = farmfile.prepare(layout, "unix:///docker.sock")  # as `make up` after `make down`
    told = {name: [environment(name, farm) for farm in (hasty, later)] for name in ("scheduler", "billing")}
    assert [one["FRAMELEND_CHUNK_SECONDS"] for one in told["scheduler"]] == ["8", "60"]
    assert [one["FRAMELEND_AUDIT_SECONDS"] for one in told["billing"]] == ["5", "30"]
    assert later["FARM_RENDER_IMAGE"] == "sha256:abc"


def test_what_an_earlier_demo_wrote_down_is_dropped_and_what_an_operator_chose_is_kept(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    farmfile.write(layout, {"FARM_CHUNK_SECONDS": "8", "FARM_AUDIT_SECONDS": "5"})
    later = farmfile.prepare(layout, "unix:///docker.sock")
    assert environment("scheduler", later)["FRAMELEND_CHUNK_SECONDS"] == "60"
    assert environment("billing", later)["FRAMELEND_AUDIT_SECONDS"] == "30"
    farmfile.remember(layout, FARM_CHUNK_SECONDS="20", FARM_AUDIT_SECONDS="7")
    chosen = farmfile.prepare(layout, "unix:///docker.sock")
    assert (chosen["FARM_CHUNK_SECONDS"], chosen["FARM_AUDIT_SECONDS"]) == ("20", "7")


def test_a_folder_without_a_farm_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(FarmError, match="make up"):
        farmfile.read(Layout(tmp_path))


def test_a_folder_too_deep_for_a_socket_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FarmError, match="too long"):
        Layout.of(tmp_path / ("deep" * 40))
