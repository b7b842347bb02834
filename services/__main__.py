"""`python -m services intake|scheduler|storage|billing|notifier`: one image, the service as its argument."""

import asyncio
import importlib
import sys

from contracts.topology import SERVICES
from services.chassis.service import serve
from services.chassis.settings import told


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in SERVICES:
        sys.exit(f"usage: python -m services {'|'.join(SERVICES)}")
    name = sys.argv[1]
    app = importlib.import_module(f"services.{name}.app")
    asyncio.run(serve(name, told(app.Settings), app.build))


if __name__ == "__main__":
    main()
