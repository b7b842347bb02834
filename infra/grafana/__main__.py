"""`python -m infra.grafana`: write the dashboard's JSON; with `check URL` run its queries on a live Prometheus instead,
with `picture URL FILE` draw them."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.grafana.dashboard import farm_overview
from infra.grafana.queries import without_data

FILE = Path(__file__).with_name("farm-overview.json")


def main(words: list[str]) -> int:
    match words:
        case []:
            FILE.write_text(farm_overview())
        case ["check", url]:
            silent = without_data(url)
            print("\n".join(f"no data: {one}" for one in silent) or "every query has data")
            return 1 if silent else 0
        case ["picture", url, target]:
            from infra.grafana.picture import draw  # matplotlib takes its time

            draw(url, Path(target))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
