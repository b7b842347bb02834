"""`python -m infra.grafana`: write the dashboard's JSON. With `check [URL]` run its queries on a live Prometheus instead, with
`picture [URL]` draw them into build/dashboard.png. Without an address it is the running farm's."""

from __future__ import annotations

import sys

import httpx

from infra.grafana.dashboard import farm_overview
from infra.grafana.queries import COMMITTED, QueryRefused, without_data
from infra.local import farmfile
from infra.local.failure import FarmError
from infra.local.layout import CHECKOUT, Layout

PICTURE = CHECKOUT / "build" / "dashboard.png"


def main(words: list[str]) -> int:
    try:
        return _do(words)
    except (httpx.TransportError, QueryRefused, FarmError) as problem:
        print(f"Prometheus could not be asked: {problem}. Is the farm up (`make status`)?")
        return 1


def _do(words: list[str]) -> int:
    match words:
        case []:
            COMMITTED.write_text(farm_overview())
        case ["check", *address]:
            silent = without_data(_url(address))
            print("\n".join(f"no data: {one}" for one in silent) or "every query has data")
            return 1 if silent else 0
        case ["picture", *address]:
            from infra.grafana.picture import draw  # matplotlib takes its time

            draw(_url(address), PICTURE)
            print(PICTURE)
        case _:
            print(__doc__)
            return 2
    return 0


def _url(address: list[str]) -> str:
    return address[0] if address else farmfile.read(Layout.of()).http("PROMETHEUS")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
