"""What may leave this machine of a stranger's log, and what never does."""

import os
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.scrub import NAME, TAIL_BYTES, Scrubber, bounded, known_here, tail, words

KNOWN = {
    "hunter22-and-more": "<secret>",
    "/srv/people/anna": "<path>",
    "anna": NAME,
    "annas-workstation": NAME,
}
SCRUB = Scrubber(KNOWN)
_WORD = st.text(string.ascii_lowercase + string.digits, min_size=2, max_size=12)
_TOKEN = st.text(string.ascii_letters + string.digits + "-_", min_size=32, max_size=80).filter(lambda text: text[0].isalnum())
_BYTE = st.integers(0, 255).map(str)
_GROUP = st.integers(1, 0xFFFF).map(lambda number: f"{number:x}")
_V4 = st.lists(_BYTE, min_size=4, max_size=4).map(".".join)
_V6 = st.lists(_GROUP, min_size=8, max_size=8).map(":".join) | st.tuples(_GROUP, _GROUP, _GROUP).map(
    lambda p: f"{p[0]}::{p[1]}:{p[2]}"
)
_PRESIGNED = st.builds("https://{}.example.org/bucket/{}?X-Amz-Signature={}&X-Amz-Expires=900".format, _WORD, _WORD, _TOKEN)
_AMQP = st.builds("{}://{}:{}@{}:5672/farm".format, st.sampled_from(["amqp", "amqps", "http"]), _WORD, _TOKEN, _WORD)
_PATH = (
    st.lists(_WORD, min_size=2, max_size=6)
    .map(lambda parts: "/" + "/".join(parts))
    .filter(lambda path: not path.startswith(("/in/", "/out/", "/tmp/")))
)
_WINDOWS = st.lists(_WORD, min_size=2, max_size=5).map(lambda parts: "C:\\" + "\\".join(parts))
_SETTING = st.builds(
    "{}{}{}".format, st.sampled_from(["password", "API_KEY", "db_token", "Secret"]), st.sampled_from(["=", ": "]), _WORD
)
_PRIVATE = st.one_of(_TOKEN, _V4, _V6, _PRESIGNED, _AMQP, _PATH, _WINDOWS, _SETTING, st.sampled_from(sorted(KNOWN)))
_HARMLESS = st.sampled_from(
    [
        "00:01.761  cycles           | ERROR Image file '/in/bundle/textures/walk_0002.png' does not exist.",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "Malloc returns null: len=1560281112 in CDPropFloat3, total 531890456",
        "Fra:2 Mem:9000M | Remaining: 01:02:03.45 | Sample 12/48",
        "Info: Read library: '/in/bundle/props.blend', '//props.blend', parent '<direct>'",
        'File "/opt/framelend/driver.py", line 40, in main',
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(_HARMLESS, _PRIVATE), min_size=1, max_size=6), st.sampled_from([" ", "\n", " '", "\t", '"']))
def test_nothing_private_gets_through_and_what_helps_stays(lines: list[tuple[str, str]], between: str) -> None:
    text = "\n".join(f"{helps}{between}{private}{between}" for helps, private in lines)
    said = SCRUB.words(text)
    for helps, private in lines:
        assert private not in said
        assert helps in said
    for _, private in lines:  # the control: without the scrubber each of them is there to be read
        assert private in text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30_000) | st.text("aeyJ-/:@.\\~ \n0f", max_size=30_000), st.integers(16, 9_000))
@example("é" * 20_000, TAIL_BYTES)
@example("x" * 20_000 + "\n", TAIL_BYTES)
def test_a_tail_is_bounded_valid_and_an_end_of_the_text(text: str, most: int) -> None:
    cut = bounded(text.encode(errors="ignore").decode(), most)
    assert len(cut.encode()) <= most
    assert text.encode(errors="ignore").decode().endswith(cut)
    assert len(SCRUB.tail(text, most).encode()) <= most


def test_a_long_log_keeps_its_last_whole_lines() -> None:
    said = tail("\n".join(f"line {number}" for number in range(10_000)))
    assert said.startswith("line ")
    assert said.endswith("line 9999")
    assert TAIL_BYTES - 20 < len(said) <= TAIL_BYTES


def test_half_a_secret_at_the_cut_does_not_show() -> None:
    secret = "S3cr3t-" * 4_000
    assert "S3cr3t" not in SCRUB.tail(f"{secret} the end")
    assert "the end" in SCRUB.tail(f"{secret} the end")


def test_what_the_owner_is_called_goes_wherever_it_stands_but_not_out_of_other_words() -> None:
    said = SCRUB.words("Anna's render on ANNAS-WORKSTATION in /srv/people/anna/lend; Susannah keeps hers; hannah too; anna_2")
    assert "<name>'s render on <name> in <path>/lend" in said
    assert "Susannah" in said
    assert "hannah" in said
    assert "anna_2" not in said


def test_secrets_of_the_environment_are_known_by_the_names_they_have() -> None:
    environment = {
        "FARM_STORAGE_MONGO_PASSWORD": "correct horse battery",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "FRAMELEND_AMQP_URL": "amqp://a:b@c/d",
        "HOME": "/srv/people/josé maría",
        "USER": "josé",
        "LANG": "de_DE.UTF-8",
        "SHORT_KEY": "abc",
    }
    said = Scrubber(known_here(environment)).words(
        "correct horse battery, WJALRXUTNFEMI, amqp://a:b@c/d, /srv/people/josé maría/x, josé, de_DE.UTF-8, abc"
    )
    assert "<secret>, <secret>, <secret>, <path>/x, <name>, de_DE.UTF-8, abc" in said


def test_this_process_knows_its_own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMELEND_GRANT_KEY", "not even long")
    assert "not even long" not in Scrubber(known_here(os.environ)).words("it is not even long")


def test_control_and_direction_characters_and_noise_fall_away() -> None:
    said = tail(
        "Add-on not loaded: x\nred\x1b[31m \u202eabc\x00\nOpenImageIO exited with a pending error message that was never\n"
    )
    assert said.startswith("red[31m abc\n")


@pytest.mark.parametrize("part", ["a", "eyJ-", "/a", "a@", "::", "x:/", "password", "\\\\a", "C:\\", "1.", "a:", "Bearer "])
def test_no_text_takes_the_scrubber_beyond_all_measure(part: str) -> None:
    """Each pattern looks at each place at most a bounded number of times: the text shrinks or stays, and it comes back."""
    assert len(SCRUB.tail(part * (2_000_000 // len(part))).encode()) <= TAIL_BYTES
    assert len(words(part * (24_000 // len(part)))) <= 24_000 + 9 * 24_000
