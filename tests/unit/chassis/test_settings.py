"""A process whose environment is wrong says what is wrong with it, in words, and never what stands in it."""

import pytest

from services.chassis.settings import ServiceSettings, told

SECRET = "amqp://scheduler:s3cret@127.0.0.1/farm"
GOOD = {"AMQP_URL": SECRET, "MONGO_URL": "mongodb://127.0.0.1", "MONGO_DATABASE": "scheduler", "HTTP_PORT": "8000"}


def given(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for name, value in {**GOOD, **changes}.items():
        monkeypatch.setenv(f"FRAMELEND_{name}", value)


def test_what_is_wrong_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, HTTP_PORT="s3cret-too")
    monkeypatch.delenv("FRAMELEND_MONGO_URL")
    with pytest.raises(SystemExit) as ended:
        told(ServiceSettings, "Do this instead.")
    said = str(ended.value)
    assert "FRAMELEND_MONGO_URL: field required" in said
    assert "FRAMELEND_HTTP_PORT: input should be a valid integer" in said
    assert said.endswith("Do this instead.")
    assert "s3cret" not in said


def test_an_environment_that_says_everything_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch)
    assert told(ServiceSettings).http_port == 8000
