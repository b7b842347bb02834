"""What agents do, and whether the money adds up."""

from infra.grafana.panel import (
    MUST_BE_NONE,
    MUST_BE_ZERO,
    PER_MINUTE,
    STEADILY,
    Kind,
    Panel,
    Query,
    Row,
    lately,
    mean,
    or_zero,
    quantile,
    rate,
)

_WORK = "framelend_scheduler_work_micro_wu"
_OUTSIDE, _TOLD = (f"sum(increase(framelend_scheduler_quotes_measured_total{where}[1d]))" for where in ('{band="outside"}', ""))


def _quote_error(which: float) -> str:
    """Of all that were told in a day; 0 where none was, for nothing divided by nothing draws no line."""
    told = "sum by (le) (increase(framelend_scheduler_quote_error_ratio_bucket[1d]))"
    return f"(histogram_quantile({which}, {told}) >= 0) or vector(0)"


AGENTS = Row(
    "Agents",
    (
        Panel(
            "Agents",
            "By state. Offline agents lost their connection or their lender closed the lid; nothing is to be done.",
            (Query("max by (state) (framelend_scheduler_agents)", "{{state}}"),),
            kind=Kind.STACKED,
        ),
        Panel(
            "Frames a minute",
            "By agent, in its own words.",
            (Query(rate("framelend_agent_frames_rendered", "agent", over=STEADILY) + PER_MINUTE, "{{agent}}"),),
            unit="suffix: frames/min",
        ),
        Panel(
            "Seconds a frame",
            "Mean wall time by agent. One agent drifting up: it is throttled or shared with other work.",
            (Query(mean("framelend_agent_frame_seconds", "agent"), "{{agent}}"),),
            unit="s",
        ),
        Panel(
            "Seconds an upload",
            "p99 by agent, from starting to send to the store's answer. Slow everywhere: the store; slow on one: its uplink.",
            (Query(quantile(0.99, "framelend_agent_upload_seconds", "agent"), "{{agent}}"),),
            unit="s",
        ),
        Panel(
            "Outbox",
            "Events that wait on an agent's disk for the broker's confirm. Growing: it cannot reach the broker.",
            (Query("max by (agent) (framelend_agent_outbox_depth)", "{{agent}}"),),
            unit="suffix: events",
        ),
        Panel(
            "Attempts in hand",
            "By agent. Zero while chunks are queued: see *Open chunks*.",
            (Query("max by (agent) (framelend_agent_attempts_in_hand)", "{{agent}}"),),
            kind=Kind.STACKED,
        ),
        Panel(
            "From container to open scene",
            "Mean by agent. What a chunk costs before its first frame; long times make small chunks dear.",
            (Query(mean("framelend_agent_container_start_seconds", "agent"), "{{agent}}"),),
            unit="s",
        ),
        Panel(
            "Attempts in 5 minutes",
            "By agent and how they ended, in the agent's words.",
            (Query(lately("framelend_agent_attempts", "agent, outcome"), "{{agent}} {{outcome}}"),),
            unit="suffix: attempts",
        ),
        Panel(
            "Uploads that failed, in 5 minutes",
            "They are tried again with a new grant. Lasting: the store is away or the clock of the agent is wrong.",
            (Query(or_zero(lately("framelend_agent_uploads", where='outcome="failed"')), "failed"),),
            unit="suffix: uploads",
        ),
        Panel(
            "Cores that rendering takes",
            "By agent: what its containers use, without the agent itself. Well below the cores lent: the scene, or a limit.",
            (Query("max by (agent) (framelend_agent_render_cores)", "{{agent}}"),),
            unit="suffix: cores",
        ),
        Panel(
            "Memory that rendering takes",
            "By agent, without the file cache. Near what is lent: chunks will run out of memory.",
            (
                Query("max by (agent) (framelend_agent_render_memory_bytes)", "{{agent}}"),
                Query("max(framelend_agent_render_memory_peak_bytes)", "largest container's peak"),
            ),
            unit="bytes",
        ),
        Panel(
            "Moved by agents",
            "Bundles and frames over the network; what containers read and write on disks. Frames travel while others render.",
            (
                Query(rate("framelend_agent_network_bytes", "way"), "{{way}} over the network"),
                Query(rate("framelend_agent_render_disk_bytes", "way"), "{{way}} on disks"),
            ),
            unit="Bps",
        ),
        Panel(
            "GPUs",
            "The busiest and the warmest of all lent (NVIDIA); 0 where there is none. Warm and idle: somebody else uses it.",
            (
                Query(or_zero("max(framelend_agent_gpu_utilisation_ratio) * 100"), "busy, %"),
                Query(or_zero("max(framelend_agent_gpu_celsius)"), "degrees Celsius"),
            ),
        ),
    ),
)

MONEY = Row(
    "Money",
    (
        Panel(
            "Ledger sum",
            "Over all accounts, in micro-credits. Must be 0: else stop billing, keep its database, find the posting by hand.",
            (Query("framelend_billing_ledger_sum", "sum"),),
            kind=Kind.NUMBERS,
            width=4,
            steps=MUST_BE_ZERO,
        ),
        Panel(
            "Balances that disagree",
            "With the postings they are made of. Billing's log names each; the postings are right.",
            (Query("framelend_billing_mismatches", "wrong"),),
            kind=Kind.NUMBERS,
            width=4,
            steps=MUST_BE_NONE,
        ),
        Panel(
            "Sealed, not settled",
            "Jobs whose charges do not equal their seal yet. For minutes: frames events are stuck, see billing's inbox.",
            (Query("framelend_billing_sealed_unsettled", "jobs"),),
            kind=Kind.NUMBERS,
            width=4,
        ),
        Panel(
            "Error of quotes",
            "Measured over quoted work, less one, since the scheduler started. Below -20 % renters pay too much,"
            " above 20 % lenders earn too little: look at the curves of the jobs behind it.",
            (Query(f'sum({_WORK}_total{{which="measured"}}) / sum({_WORK}_total{{which="quoted"}}) - 1', "error"),),
            unit="percentunit",
            kind=Kind.NUMBERS,
            width=4,
            decimals=1,
        ),
        Panel(
            "Margin",
            "Fees of all the money that left renters for work.",
            (
                Query(
                    '(sum(framelend_billing_balance_micro_credits{account="platform:fee"}) or vector(0))'
                    ' / sum(framelend_billing_balance_micro_credits{account=~"platform:fee|lender:.+"})',
                    "margin",
                ),
            ),
            unit="percentunit",
            kind=Kind.NUMBERS,
            width=4,
            decimals=1,
        ),
        Panel(
            "Jobs settled",
            "Since billing started.",
            (Query(or_zero('sum(framelend_announced_total{event="job.settled.v1", how!="failed"})'), "settled"),),
            kind=Kind.NUMBERS,
            width=4,
        ),
        Panel(
            "Held and earned",
            "Where renters' money lies: held for running jobs, pending until the audit window closes, payable to lenders, fees.",
            (
                Query(
                    'framelend_billing_balance_micro_credits{account=~"renter:held|lender:.+|platform:.+"} / 1e6',
                    "{{account}}",
                ),
            ),
            unit="suffix: credits",
            width=8,
        ),
        Panel(
            "Money moved in 5 minutes",
            "By kind of posting. Holds without charges for long: work is held up. Reversals: audits failed, look at the lender.",
            (Query(lately("framelend_billing_posted_micro_credits", "kind") + " / 1e6", "{{kind}}"),),
            unit="suffix: credits",
            width=8,
        ),
        Panel(
            "How far quotes were off in a day",
            "Of quotes that are over: distance from the measured work, and how many lay outside the band that was told (aim: one"
            " in ten). `python -m infra.local quotes --plots FOLDER` shows and draws each.",
            (
                Query(_quote_error(0.5), "median error"),
                Query(_quote_error(0.9), "nine of ten below"),
                Query(f"({_OUTSIDE} / {_TOLD} >= 0) or vector(0)", "outside the band"),
            ),
            unit="percentunit",
            width=8,
        ),
    ),
)
