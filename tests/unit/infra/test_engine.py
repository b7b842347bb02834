"""Which farms use the engine we started: each has a file of its own, whatever their folders are called."""

from pathlib import Path

from infra.local.engine import _user_file
from infra.local.layout import Layout


def test_farms_whose_paths_end_alike_are_different_users_of_the_engine(tmp_path: Path) -> None:
    end = "the-same-long-name-for-a-checkout/.farm"
    one, other = (Layout(tmp_path / name / end) for name in ("one", "other"))
    assert _user_file(one) != _user_file(other)
    assert _user_file(one) == _user_file(Layout(tmp_path / "one" / end))
