"""A machine's one call to the farm: what it sends, what it keeps, what it tells its lender."""

import json
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from agent.cli import app
from agent.commands import UNUSABLE
from agent.enrolment import NotEnrolled, Request, enrol
from agent.keyring import Keyring, address, secret_hash
from agent.rotation import _prepared
from agent.settings import Credential, read_credential

Answers = Callable[[dict[str, Any]], tuple[int, Any]]
IN = {"agent": "a-1", "state": "enrolled", "broker": "amqp://127.0.0.1:5672/farm", "authority": None, "image": None}


@contextmanager
def a_farm(answers: Answers) -> Iterator[str]:
    """A real server on loopback that answers each body so."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, said = answers(body)
            self.send_response(status)
            self.send_header("retry-after", "0")
            self.end_headers()
            self.wfile.write(json.dumps(said).encode() if not isinstance(said, bytes) else said)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Recorder:
    """Keeps what it hears and gives these answers, the last one for ever."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._answers = answers

    def __call__(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.heard.append(body)
        return self._answers[min(len(self.heard), len(self._answers)) - 1]


def silent(_: str) -> None:
    pass


def test_only_the_hash_of_the_secret_travels_and_only_the_machine_keeps_the_secret(tmp_path: Path) -> None:
    file, answers = tmp_path / "agent.json", Recorder((200, IN))
    with a_farm(answers) as farm:
        enrol(Request("CODE", farm, "laptop"), file, silent)
    url = urlsplit(read_credential(file).amqp_url.get_secret_value())
    (body,), secret = answers.heard, unquote(url.password or "")
    assert (url.username, url.hostname, url.path) == ("a-1", "127.0.0.1", "/farm")
    assert read_credential(file).farm == farm, "for the doctor, who looks at its clock"
    assert body == {"code": "CODE", "name": "laptop", "secret_hash": secret_hash(secret)}
    assert secret not in json.dumps(body)
    assert [(one.name, stat.S_IMODE(one.stat().st_mode)) for one in tmp_path.iterdir()] == [("agent.json", 0o600)]


def test_until_it_is_taken_in_it_says_the_same_again(tmp_path: Path) -> None:
    answers = Recorder((503, {"detail": "busy"}), (200, {**IN, "state": "pending"}), (200, IN))
    with a_farm(answers) as farm:
        enrol(Request("CODE", farm, "laptop"), tmp_path / "agent.json", silent)
    assert len(answers.heard) == 3
    assert answers.heard[0] == answers.heard[1] == answers.heard[2]


def test_begun_again_after_a_crash_it_is_the_same_machine(tmp_path: Path) -> None:
    """Positive control: with another code it is another one."""
    answers = Recorder((200, {**IN, "state": "pending"}))
    with a_farm(answers) as farm:
        for code in ("CODE", "CODE", "OTHER"):
            with pytest.raises(NotEnrolled, match="it goes on where it was"):
                enrol(Request(code, farm, "laptop"), tmp_path / "agent.json", silent, patience=0.1)
    hashes = [body["secret_hash"] for body in answers.heard]
    assert hashes[0] == hashes[1] != hashes[2]
    assert stat.S_IMODE((tmp_path / "agent.json.enrolling").stat().st_mode) == 0o600


def test_a_no_is_told_in_the_farms_own_words_and_ends_it(tmp_path: Path) -> None:
    said = {"detail": "This code has run out. Make a new one.\x1b[31m"}
    with a_farm(lambda _: (409, said)) as farm, pytest.raises(NotEnrolled) as why:
        enrol(Request("CODE", farm, "laptop"), tmp_path / "agent.json", silent)
    assert str(why.value) == "This code has run out. Make a new one.[31m", "nothing that steers a terminal"


@pytest.mark.parametrize(
    "answer",
    [b"<html>", [], {**IN, "agent": "../x"}, {**IN, "broker": "amqp://eve@host/farm"}, {**IN, "broker": "http://x/"}, {}],
)
def test_what_does_not_speak_like_a_farm_is_not_believed(tmp_path: Path, answer: Any) -> None:
    with a_farm(lambda _: (200, answer)) as farm, pytest.raises(NotEnrolled, match="does not speak as a farm"):
        enrol(Request("CODE", farm, "laptop"), tmp_path / "agent.json", silent)
    assert not (tmp_path / "agent.json").exists()


@pytest.mark.parametrize("farm", ["http://farm.example", "http://10.0.0.1:8080", "ftp://farm.example", "farm.example"])
def test_a_code_is_sent_to_nobody_over_an_open_line(tmp_path: Path, farm: str) -> None:
    with pytest.raises(NotEnrolled, match=r"https://"):
        enrol(Request("CODE", farm, "laptop"), tmp_path / "agent.json", silent)
    assert not list(tmp_path.iterdir())


def test_a_machine_that_is_somebody_already_stays_who_it_is(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    file.write_text("mine")
    with pytest.raises(NotEnrolled, match="enrolled already"):
        enrol(Request("CODE", "https://farm.example", "laptop"), file, silent)
    assert file.read_text() == "mine"


BEHIND_TLS = {**IN, "broker": "amqps://broker.example:5671/farm"}


def the_authority(file: Path) -> Path:
    """Of the broker that this credential is for."""
    ((path,),) = parse_qs(urlsplit(read_credential(file).amqp_url.get_secret_value()).query).values()
    return Path(path)


def test_who_vouches_for_the_broker_is_kept_and_asked(tmp_path: Path) -> None:
    with a_farm(lambda _: (200, {**BEHIND_TLS, "authority": "PEM"})) as farm:
        enrol(Request("CODE", farm, "laptop"), tmp_path / "agent.json", silent)
    kept = tmp_path / "agent.json.authority.pem"
    assert kept.read_text() == "PEM"
    assert f"cafile={kept}" in read_credential(tmp_path / "agent.json").amqp_url.get_secret_value()


def of_authority(authority: str, _: dict[str, Any]) -> tuple[int, Any]:
    return 200, {**BEHIND_TLS, "authority": authority}


def test_a_second_farm_in_the_same_folder_is_vouched_for_by_its_own_authority_and_the_first_by_the_former_one(
    tmp_path: Path,
) -> None:
    """The third enrolled when all shared one name; its secret is changed, too, and it asks whom it has asked."""
    shared = tmp_path / "broker-authority.pem"
    shared.write_text("THREE")
    url = SecretStr(address("amqps://broker.example:5671/farm", "a-3", "old", shared))
    Keyring(tmp_path / "three.json").keep(Credential(agent="a-3", amqp_url=url))
    for name in ("one", "two"):
        with a_farm(partial(of_authority, name.upper())) as farm:
            enrol(Request("CODE", farm, "laptop"), tmp_path / f"{name}.json", silent)
    for name in ("one", "two", "three"):
        keyring = Keyring(tmp_path / f"{name}.json")
        assert the_authority(keyring.file).read_text() == name.upper()
        keyring.is_good(_prepared(keyring, keyring.current()))
        assert the_authority(keyring.file).read_text() == name.upper(), "after a rotation"


def test_its_folder_is_there_at_once_for_its_owners_settings_and_one_that_cannot_be_made_costs_no_code(tmp_path: Path) -> None:
    """He is told where they go; the control is a folder nobody can make, for which the farm is not even asked."""
    answers = Recorder((200, IN))

    def enrolled(folder: str) -> Result:
        env = {"FRAMELEND_AGENT_FILE": str(tmp_path / "agent.json"), "FRAMELEND_AGENT_DIR": folder}
        return CliRunner().invoke(app, ["enrol", "CODE", "--farm", farm], env=env)

    with a_farm(answers) as farm:
        wrong = enrolled("/dev/null/home")
        assert (wrong.exit_code, "FRAMELEND_AGENT_DIR: /dev/null/home" in wrong.output, answers.heard) == (UNUSABLE, True, [])
        done = enrolled(str(tmp_path / "share/home"))
    assert (done.exit_code, f"{tmp_path}/share/home/agent.toml" in done.output) == (0, True), done.output
    assert stat.S_IMODE((tmp_path / "share/home").stat().st_mode) == 0o700
