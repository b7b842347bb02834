"""Dask's distributed scheduler: futures over its own wire, nothing durable."""

import os
import time

from distributed import Client, LocalCluster

TOGETHER = 1_000
"""As many as there are agents that ask."""


def _same(number: int) -> int:
    return number


def main(seconds: float, workers: int) -> float:
    """Tasks per second, sent, run, and their results gathered."""
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(_same, range(TOGETHER), pure=False))
        began, done = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            client.gather(client.map(_same, range(TOGETHER), pure=False))
            done += TOGETHER
        return done / (time.monotonic() - began)


if __name__ == "__main__":
    print(main(float(os.environ["NOOP_SECONDS"]), int(os.environ["NOOP_WORKERS"])))
