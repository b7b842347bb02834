"""Celery without results, acknowledged early: what it does by default, with persistent messages as is its default too."""

import os
import subprocess
import sys
import threading
import time
from typing import Any

from celery import Celery

SENDERS = 8
app = Celery("bare", broker=os.environ["NOOP_BROKER"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64, task_default_queue="celery-bare")


def _same(number: int) -> int:
    return number


noop: Any = app.task(name="bare")(_same)


def main(seconds: float) -> float:
    """Tasks per second, sent and taken."""
    words = ("celery", "-A", "celery_bare", "worker", "--loglevel", "WARNING", "--without-gossip", "--without-mingle")
    worker = subprocess.Popen((sys.executable, "-m", *words, "--concurrency", os.environ["NOOP_WORKERS"]), stdout=sys.stderr)
    try:
        noop.delay(0)
        _drained()
        began, sent = time.monotonic(), [0] * SENDERS
        senders = [threading.Thread(target=_send, args=(number, sent, began + seconds)) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        _drained()
        return sum(sent) / (time.monotonic() - began)
    finally:
        worker.terminate()
        worker.wait(60)


def _send(number: int, sent: list[int], until: float) -> None:
    while time.monotonic() < until:
        noop.delay(sent[number])
        sent[number] += 1


def _drained() -> None:
    """Nothing waits in the queue; what a worker has prefetched is no more than a hundredth of a stretch."""
    with app.connection_for_read() as connection:
        channel = connection.channel()
        while channel.queue_declare("celery-bare", passive=True).message_count:
            time.sleep(0.1)


if __name__ == "__main__":
    print(main(float(os.environ["NOOP_SECONDS"])))
