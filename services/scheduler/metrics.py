"""What the scheduler counts. Labels never hold ids."""

from prometheus_client import Counter, Gauge, Histogram

ASSIGNED = Counter("framelend_scheduler_assignments", "Chunks given to agents", ["kind"])
ENDED = Counter("framelend_scheduler_attempts_ended", "Attempts by how they ended", ["why"])
VOIDED = Counter("framelend_scheduler_leases_voided", "Leases lost", ["why"])
LOST_RACES = Counter("framelend_scheduler_lost_races", "Conditional writes lost while assigning", ["what"])
FRAMES = Counter("framelend_scheduler_frames_stored", "Frames that storage has told of", ["kind"])
HONOURED = Counter("framelend_scheduler_copies_honoured", "Superfluous frames confirmed for payment")
WAITED = Histogram(
    "framelend_scheduler_ready_to_assigned_seconds",
    "From a free slot to its next assignment, while there was work",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
JOBS = Gauge("framelend_scheduler_jobs", "Jobs by state", ["state"])
CHUNKS = Gauge("framelend_scheduler_open_chunks", "Open chunks by state", ["state"])
AGENTS = Gauge("framelend_scheduler_agents", "Agents by state", ["state"])
JOB_MOVES = Counter("framelend_scheduler_job_moves", "Moves of jobs", ["state"])
QUOTE_WORK = Counter("framelend_scheduler_work_micro_wu", "Work of stored frames: as the quote says and as measured", ["which"])
