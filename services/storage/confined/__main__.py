"""`python -m services.storage.confined pictures|sheet|archive|program SETTINGS`: each imports only what it needs.

SETTINGS are the arguments of that module's `main`, as JSON.
"""

import importlib
import json
import sys

what, settings = sys.argv[1:]
importlib.import_module(f"services.storage.confined.as_{what}").main(**json.loads(settings))
