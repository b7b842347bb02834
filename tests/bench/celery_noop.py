"""The baseline of assignments: a no-op task in Celery with the same durability, set up as its documentation recommends.

Persistent messages, publisher confirms, acknowledged late, results in MongoDB; a prefetch of 64 per worker process is what its
page *Optimizing* advises for many short tasks. `python -m tests.bench.celery_noop send` sends without end, from several threads,
because one that waits for each confirm would be what is measured.
"""

import os
import sys
import threading
import time
from typing import Any

from celery import Celery
from pymongo import MongoClient

SENDERS = 8
OUTSTANDING = 1_000
"""As many as there are agents that ask."""
DATABASE = os.environ.get("NOOP_DATABASE", "celery")
RESULTS = "results"

app = Celery("noop", broker=os.environ.get("NOOP_BROKER"), backend=os.environ.get("NOOP_BACKEND"))
app.conf.update(
    task_acks_late=True,
    task_default_delivery_mode="persistent",
    broker_transport_options={"confirm_publish": True},
    worker_prefetch_multiplier=64,
    mongodb_backend_settings={"database": DATABASE, "taskmeta_collection": RESULTS},
    broker_connection_retry_on_startup=True,
)


def _same(number: int) -> int:
    return number


noop: Any = app.task(name="noop")(_same)


def send() -> None:
    """Until it is killed; never more than `OUTSTANDING` without a result."""
    results: Any = MongoClient(os.environ["NOOP_BACKEND"])[DATABASE][RESULTS]
    before, sent = results.estimated_document_count(), [0] * SENDERS
    free = threading.Event()
    for number in range(SENDERS):
        threading.Thread(target=_sender, args=(number, sent, free), daemon=True).start()
    while True:
        outstanding = sum(sent) - (results.estimated_document_count() - before)
        (free.set if outstanding < OUTSTANDING else free.clear)()
        time.sleep(0.05)


def _sender(number: int, sent: list[int], free: threading.Event) -> None:
    while True:
        free.wait()
        noop.delay(sent[number])
        sent[number] += 1


if __name__ == "__main__" and sys.argv[1:] == ["send"]:
    send()
