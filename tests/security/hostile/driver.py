"""Stands where the driver stands in the image of the escape tests: runs what the renter's bundle brings.

An image with this in it treats code execution as given: what is tested is the container around it. With a bundle that brings no
attack it is the honest driver with its own guard, scripts off, taken away.
"""

import importlib
import os
import sys

if os.path.exists("/in/bundle/attack.py"):
    sys.path.insert(0, "/in/bundle")
    importlib.import_module("attack").main()
else:
    honest = importlib.import_module("honest")
    vars(honest)["USE_SCRIPTS"] = True
    sys.exit(honest.main([]))
