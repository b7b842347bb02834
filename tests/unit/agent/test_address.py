"""No secret goes over a wire that others can read, unless the lender says that it may."""

import pytest

from agent.domain.address import danger

GOOD = [
    "amqps://a:s@broker.farm.example:5671/farm",
    "amqps://a:s@10.0.0.7/farm?cafile=/x.pem",
    "amqp://a:s@127.0.0.1:5672/farm",
    "amqp://a:s@[::1]:5672/farm",
    "amqp://a:s@localhost/farm",
]
PLAIN = [
    "amqp://a:s@broker.farm.example:5672/farm",
    "amqp://a:s@10.0.0.7/farm",
    "amqp://a:s@127.0.0.1.farm.example/farm",
    "amqp://a:s@localhost.farm.example/farm",
    "amqp://127.0.0.1:s@farm.example/farm",
    "amqp://a:s@0.0.0.0/farm",
]


@pytest.mark.parametrize("url", GOOD)
def test_an_encrypted_address_and_this_very_machine_are_fine(url: str) -> None:
    assert danger(url) == ""


@pytest.mark.parametrize("url", PLAIN)
def test_a_plain_address_elsewhere_is_refused_until_the_lender_says_so(url: str) -> None:
    assert "without encryption" in danger(url)
    assert "a:s" not in danger(url)
    assert danger(url, plain_is_fine=True) == ""


@pytest.mark.parametrize("query", ["no_verify_ssl=1", "no_verify_ssl", "cafile=/x&no_verify_ssl=0"])
def test_nobody_may_ask_not_to_be_verified(query: str) -> None:
    assert "verify" in danger(f"amqps://a:s@farm.example/farm?{query}", plain_is_fine=True)
