"""``python -m infra.tracebox --port N``."""

from __future__ import annotations

import argparse

import uvicorn

from infra.tracebox.app import build


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--traces", type=int, default=2000, help="how many traces are kept")
    chosen = options.parse_args()
    uvicorn.run(build(chosen.traces), host="127.0.0.1", port=chosen.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
