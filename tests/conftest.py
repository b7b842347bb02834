"""For every test: properties are not judged by the time they take, which a busy machine decides.

The gate tries the same examples every time, so that what fails there fails everywhere; `make test-long` looks for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("exploring", deadline=None)
settings.load_profile("exploring" if os.environ.get("FRAMELEND_EXPLORE") else "gate")
