"""Is the farm well, and does it work?"""

from infra.grafana.panel import ALIVE, MUST_BE_NONE, PER_MINUTE, STEADILY, Kind, Panel, Query, Row, lately, or_zero, p50_p99, rate

_DEPTH = "rabbitmq_detailed_queue_messages"
_NOT_REJECTED = "stored|repeated|superfluous|job_closed"
_WORK = "framelend_scheduler_work_micro_wu"

HEALTH = Row(
    "Health",
    (
        Panel(
            "Services up",
            "1 when Prometheus reaches the service. On 0: `python -m infra.local status`, then its log; it restarts by itself.",
            (Query('max by (service) (up{service!=""})', "{{service}}"),),
            kind=Kind.NUMBERS,
            steps=ALIVE,
        ),
        Panel(
            "Services ready",
            "1 when the service takes work. Up but not ready: its `/health` says whether broker or database is away.",
            (Query('max by (service) (framelend_ready or 0 * up{service!=""})', "{{service}}"),),
            kind=Kind.NUMBERS,
            steps=ALIVE,
        ),
        Panel(
            "Alerts firing",
            "Their names and what to do stand on Prometheus' page /alerts (infra/prometheus/alerts.yml).",
            (Query(or_zero('sum(ALERTS{alertstate="firing"})'), "firing"),),
            kind=Kind.NUMBERS,
            width=4,
            steps=MUST_BE_NONE,
        ),
        Panel(
            "Dead letters",
            "Parked messages that wait for a person: `python -m infra.local dead list SERVICE`, then `show`, `replay` or `drop`.",
            (Query(f'sum({_DEPTH}{{vhost="$vhost", queue=~"dead[.].+"}})', "parked"),),
            kind=Kind.NUMBERS,
            width=4,
            steps=MUST_BE_NONE,
        ),
        Panel(
            "Memory",
            "Resident, per process. Growth over hours without more jobs is a leak: keep the graph, restart the service.",
            (
                Query('max by (service) (process_resident_memory_bytes{service!=""})', "{{service}}"),
                Query('max by (agent) (process_resident_memory_bytes{agent!=""})', "agent {{agent}}"),
            ),
            unit="bytes",
        ),
        Panel(
            "Processor",
            "Cores in use. A service near 1 is at its end: its hot inbox is to be sharded.",
            (
                Query('max by (service) (rate(process_cpu_seconds_total{service!=""}[$__rate_interval]))', "{{service}}"),
                Query('max by (agent) (rate(process_cpu_seconds_total{agent!=""}[$__rate_interval]))', "agent {{agent}}"),
            ),
            unit="suffix: cores",
        ),
        Panel(
            "HTTP answers",
            "Of the door, by status. 5xx are ours: look into intake's log. Many 4xx from one moment on: a client is broken.",
            (Query(rate("framelend_intake_requests", "status"), "{{status}}"),),
            unit="suffix: answers/s",
        ),
    ),
)

WORK = Row(
    "Work",
    (
        Panel(
            "Jobs",
            "By state. Jobs that stay `inspecting` or `estimating` wait for the house agent: is it online?",
            (Query("max by (state) (framelend_scheduler_jobs)", "{{state}}"),),
            kind=Kind.STACKED,
        ),
        Panel(
            "Open chunks",
            "By state. Many queued with agents idle: the scene needs what they lack, or a job's limits allow none of them.",
            (Query("max by (state) (framelend_scheduler_open_chunks)", "{{state}}"),),
            kind=Kind.STACKED,
        ),
        Panel(
            "Frames stored",
            "Accepted by storage. Zero while chunks are rendering: see verification and uploads below.",
            (Query(rate("framelend_storage_frames", where='outcome="stored"', over=STEADILY), "stored"),),
            unit="suffix: frames/s",
        ),
        Panel(
            "Frames rejected in 5 minutes",
            "By reason. One agent's fault comes and goes with it: quarantine it. All agents': a scene or our own checks.",
            (Query(lately("framelend_storage_frames", "outcome", f'outcome!~"{_NOT_REJECTED}"'), "{{outcome}}"),),
            unit="suffix: frames",
        ),
        Panel(
            "Chunks assigned",
            "By kind of work.",
            (Query(rate("framelend_scheduler_assignments", "kind", over=STEADILY), "{{kind}}"),),
            unit="suffix: chunks/s",
        ),
        Panel(
            "From ready to assigned",
            "How long a free slot waited while there was work. Above a second: the scheduler is behind, see its inbox lag.",
            p50_p99("framelend_scheduler_ready_to_assigned_seconds"),
            unit="s",
        ),
        Panel(
            "Leases voided in 5 minutes",
            "Agents that went silent with work in hand. Their frames are queued again; all agents at once: the broker.",
            (Query(lately("framelend_scheduler_leases_voided", "why"), "{{why}}"),),
            unit="suffix: leases",
        ),
        Panel(
            "Attempts that ended badly, in 5 minutes",
            "`failed` on every agent is the scene, on one agent is the agent.",
            (Query(lately("framelend_scheduler_attempts_ended", "why"), "{{why}}"),),
            unit="suffix: attempts",
        ),
        Panel(
            "Work done",
            "Work units of stored frames a minute, as the quotes say (paid) and as measured. 60 a minute is one reference core.",
            (Query(rate(_WORK, "which", over=STEADILY) + PER_MINUTE + " / 1e6", "{{which}}"),),
            unit="suffix: WU/min",
        ),
    ),
)
