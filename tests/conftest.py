"""For every test: scenes, made once; and properties are not judged by the time they take, which a busy machine decides.

The gate tries the same examples every time, so that what fails there fails everywhere; `make test-long` looks for new ones.
"""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from infra.local import engine
from infra.local.layout import Layout
from tests.scenes import build_scenes

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell without a terminal starts in the background
os.environ.pop("COLUMNS", None)  # how wide tables are is a test's own matter, not that of who runs it

settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("exploring", deadline=None)
settings.load_profile("exploring" if os.environ.get("FRAMELEND_EXPLORE") else "gate")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`<name>/scene.blend` for every test scene; nobody writes there."""
    if not engine.answers():
        engine.ensure(Layout.of())
    return build_scenes(tmp_path_factory.mktemp("scenes"))
