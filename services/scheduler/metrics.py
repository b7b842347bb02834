"""What the scheduler counts. Labels never hold ids."""

from prometheus_client import Counter, Gauge, Histogram

from contracts.changes import Support
from contracts.events import FarmOrder
from contracts.values import Kind
from services.chassis.conduct import Offence
from services.scheduler.domain.states import ChoiceState

ASSIGNED = Counter("framelend_scheduler_assignments", "Chunks given to agents", ["kind"])
CHUNK_MOVES = Counter("framelend_scheduler_chunk_moves", "Moves of chunks", ["before", "after"])
ENDED = Counter("framelend_scheduler_attempts_ended", "Attempts by how they ended", ["why"])
VOIDED = Counter("framelend_scheduler_leases_voided", "Leases lost", ["why"])
LOST_RACES = Counter("framelend_scheduler_lost_races", "Conditional writes lost while assigning", ["what"])
FRAMES = Counter("framelend_scheduler_frames_stored", "Frames that storage has told of", ["kind"])
COPIES = Counter("framelend_scheduler_copies", "Copies of slow chunks given to idle agents")
SUPERFLUOUS = Counter("framelend_scheduler_frames_superfluous", "Frames that came second")
WAITED = Histogram(
    "framelend_scheduler_ready_to_assigned_seconds",
    "From hearing an agent that is ready to having told it its chunk",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
OFFERS = Counter("framelend_scheduler_offers", "Jobs offered to lenders who choose by hand, and what came of it", ["what"])
OFFERS_OPEN = Gauge("framelend_scheduler_offers_open", "Offers that wait for a lender's yes or no")
JOBS = Gauge("framelend_scheduler_jobs", "Jobs of the farm by state; every process says the same", ["state"])
CHUNKS = Gauge("framelend_scheduler_open_chunks", "Open chunks of the farm by state; every process says the same", ["state"])
AGENTS = Gauge("framelend_scheduler_agents", "Agents of the farm by state; every process says the same", ["state"])
ENROLLED = Counter("framelend_scheduler_agents_enrolled", "Agents enrolled", ["how"])
QUARANTINED = Counter("framelend_scheduler_agents_quarantined", "Agents cut off by the rules", ["what"])
REVOKED = Counter("framelend_scheduler_agents_revoked", "Agents revoked")
SECRETS = Counter("framelend_scheduler_secrets_offered", "New secrets that agents offered, by what came of it", ["outcome"])
GATE = Histogram("framelend_scheduler_gate_seconds", "Letting an agent in at the broker, or shutting it out", ["what"])
FARM = Gauge("framelend_scheduler_farm", "1 for the operator's order to the whole farm that stands", ["order"])
FARM_ORDERS = Counter("framelend_scheduler_farm_orders", "The operator's orders to the whole farm", ["order"])
FARM_STOPPED = Counter("framelend_scheduler_farm_stopped_attempts", "Attempts that emergency stops put back")
JOB_CONTROLS = Counter("framelend_scheduler_job_controls", "What was said to jobs, by what stands then", ["action"])
JOB_MOVES = Counter("framelend_scheduler_job_moves", "Moves of jobs", ["state"])
DEADLINES = Counter("framelend_scheduler_deadlines", "Deadlines of jobs that were rendered or late", ["outcome"])
QUOTE_ERROR = Histogram(
    "framelend_scheduler_quote_error_ratio",
    "Quotes that are over: distance of the quoted work from the measured one, of the measured one; of all frames, or of a part",
    ["measured"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 1, 2),
)
QUOTES_MEASURED = Counter(
    "framelend_scheduler_quotes_measured", "The same by whether the work lay in the band", ["band", "measured"]
)
REQUOTES = Counter(
    "framelend_scheduler_requotes", "Jobs whose work has left the quote's band, so that the renter was asked again"
)
FINDINGS = Counter("framelend_scheduler_findings", "What inspections found in files", ["code", "severity"])
VERDICTS = Counter("framelend_scheduler_verdicts", "Files by the inspection's verdict", ["support"])
QUOTE_WORK = Counter("framelend_scheduler_work_micro_wu", "Work of stored frames: as the quote says and as measured", ["which"])

# What may happen is counted from 0 on, so that the first time is seen as a step.
for _kind in Kind:
    ASSIGNED.labels(_kind)
for _why in ("failed", "given back", "incomplete"):
    ENDED.labels(_why)
for _why in ("agent silent", "attempt vanished", "no progress", "hard end", "agent revoked"):
    VOIDED.labels(_why)
ENROLLED.labels("by code")
for _what in Offence:
    QUARANTINED.labels(_what)
for _order in FarmOrder:
    FARM_ORDERS.labels(_order)
    FARM.labels(_order).set(_order is FarmOrder.RESUME)
QUARANTINED.labels("failing")
for _outcome in ("taken", "stale", "too soon"):
    SECRETS.labels(_outcome)
for _outcome in ("kept", "missed"):
    DEADLINES.labels(_outcome)
for _choice in ChoiceState:
    OFFERS.labels(_choice)
for _support in Support:
    VERDICTS.labels(_support)
QUOTED_WORK, MEASURED_WORK = QUOTE_WORK.labels("quoted"), QUOTE_WORK.labels("measured")
for _measured in ("complete", "partial"):
    QUOTE_ERROR.labels(_measured)
    for _band in ("inside", "outside"):
        QUOTES_MEASURED.labels(_band, _measured)
