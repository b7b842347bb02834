"""Metrics that every service has. Labels never hold ids: series must not grow with jobs or agents."""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

MESSAGES = Counter("framelend_inbox_messages", "Messages by what became of them", ["service", "event", "verdict"])
DROPPED = Counter("framelend_inbox_dropped", "Agents' messages dropped unread", ["service", "why"])
MISCONDUCT = Counter("framelend_agent_misconduct", "Agents reported for what they say, once a minute each", ["service", "what"])
HANDLING = Histogram("framelend_inbox_seconds", "Time to handle a message (or a batch)", ["service", "event"], buckets=_FAST)
BATCH = Histogram(
    "framelend_inbox_batch_size", "Messages per batch", ["service", "event"], buckets=(1, 5, 10, 50, 100, 250, 500, 1000)
)
LAG = Histogram(
    "framelend_inbox_lag_seconds",
    "From announcing to taking, whole seconds",
    ["service", "event"],
    buckets=(1, 2, 5, 10, 30, 60, 300),
)
ANNOUNCED = Counter("framelend_announced", "Events announced", ["service", "event", "how"])
UNSAYABLE = Counter("framelend_unsayable", "Events set aside: no message can hold them", ["service", "collection"])
SAVES = Counter("framelend_saves", "Conditional writes by outcome", ["service", "collection", "outcome"])
GROUP = Histogram("framelend_save_group_size", "Updates per grouped write", ["collection"], buckets=(1, 2, 5, 10, 50, 100, 500))
SWEEPS = Counter("framelend_sweeps", "Rounds of a periodic task", ["service", "sweep", "outcome"])
UP = Gauge("framelend_ready", "1 when the service can take work", ["service"])
