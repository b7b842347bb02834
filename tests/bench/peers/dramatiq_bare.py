"""Dramatiq as it comes: persistent messages on RabbitMQ, acknowledged after the work, no results."""

import os
import subprocess
import sys
import time

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

broker = RabbitmqBroker(url=os.environ["NOOP_BROKER"])
dramatiq.set_broker(broker)


def _same(number: int) -> int:
    return number


noop = dramatiq.actor(_same, actor_name="bare", queue_name="dramatiq-bare")


def main(seconds: float) -> float:
    """Tasks per second, sent and run."""
    words = (sys.executable, "-m", "dramatiq", "dramatiq_bare", "--processes", os.environ["NOOP_WORKERS"])
    worker = subprocess.Popen(words, stdout=sys.stderr)
    try:
        noop.send(0)
        broker.join("dramatiq-bare")
        began, sent = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            noop.send(sent)
            sent += 1
        broker.join("dramatiq-bare")
        return sent / (time.monotonic() - began)
    finally:
        worker.terminate()
        worker.wait(60)


if __name__ == "__main__":
    print(main(float(os.environ["NOOP_SECONDS"])))
