"""What goes on between the services, and in the store."""

from infra.grafana.panel import STEADILY, Kind, Panel, Query, Row, lately, or_zero, p50_p99, quantile, rate

_INBOXES = 'vhost="$vhost", queue=~"(intake|scheduler|storage|billing|notifier)[.].+"'
_DEPTH = "rabbitmq_detailed_queue_messages"

MESSAGES = Row(
    "Messages",
    (
        Panel(
            "Inbox lag",
            "p99 from announcing to taking, by service; whole seconds, below 1 is at once. Above 5: see depth and handlers.",
            (Query(quantile(0.99, "framelend_inbox_lag_seconds", "service"), "{{service}}"),),
            unit="s",
        ),
        Panel(
            "Inbox depth",
            "The ten deepest inboxes that are not empty. One growing alone: its handler; all of one service: its database.",
            (
                Query(
                    f"topk(10, sum by (queue) ({_DEPTH}{{{_INBOXES}}}) > 0)"
                    ' or label_replace(vector(0), "queue", "all others", "", "")',
                    "{{queue}}",
                ),
            ),
            unit="suffix: messages",
        ),
        Panel(
            "Handlers",
            "p99 by inbox, of a message or a batch. Nothing may come near 30 s.",
            (Query(f"topk(10, {quantile(0.99, 'framelend_inbox_seconds', 'service, event')})", "{{service}} {{event}}"),),
            unit="s",
        ),
        Panel(
            "What became of messages",
            "`sender_fault`: refused and parked. `not_yet`: order, it heals. `our_fault`: a defect, see dead letters.",
            (Query(rate("framelend_inbox_messages", "verdict"), "{{verdict}}"),),
            unit="suffix: messages/s",
        ),
        Panel(
            "Waiting for another try",
            "Messages on the retry ladders, by service. For many minutes: what they wait for never comes, they will be parked.",
            (
                Query(
                    f'sum by (service) (label_replace({_DEPTH}{{vhost="$vhost", queue=~"farm[.]retry[.].+"}},'
                    ' "service", "$1", "queue", "farm[.]retry[.]([a-z]+)[.].+"))',
                    "{{service}}",
                ),
            ),
            kind=Kind.STACKED,
            unit="suffix: messages",
        ),
        Panel(
            "Mailboxes",
            "What lies in agents' mailboxes. Old assignments drop out; growth while agents are online: they do not read.",
            (Query(or_zero(f'sum({_DEPTH}{{vhost="$vhost", queue=~"agent[.].+"}})'), "messages"),),
            unit="suffix: messages",
        ),
        Panel(
            "Saves",
            "Conditional writes won and lost. Lost ones are decided again; more lost than won: two processes share one inbox.",
            (Query(rate("framelend_saves", "outcome"), "{{outcome}}"),),
            unit="suffix: writes/s",
        ),
        Panel(
            "Announced",
            "`at once` after the save, or later `by sweep` after a crash or without a broker. Lasting `failed`: the broker.",
            (Query(rate("framelend_announced", "how"), "{{how}}"),),
            unit="suffix: events/s",
        ),
        Panel(
            "Sweeps that failed, in 5 minutes",
            "By service. Each comes again in its time; one that always fails leaves what time should do undone: see its log.",
            (Query(lately("framelend_sweeps", "service", 'outcome="failed"'), "{{service}}"),),
            unit="suffix: rounds",
        ),
        Panel(
            "Mails and webhooks in 5 minutes",
            "Tries to tell somebody, by how they ended. Failing webhooks are their owners' affair, failing mails ours.",
            (Query(lately("framelend_notifier_deliveries", "channel, outcome"), "{{channel}} {{outcome}}"),),
            unit="suffix: tries",
            width=12,
        ),
        Panel(
            "Waiting to be told",
            "Mails and webhooks that are due. Growing: the notifier or the mail server is down; all is told once it is back.",
            (Query("framelend_notifier_open", "open"),),
            unit="suffix: tellings",
            width=12,
        ),
    ),
)

STORAGE = Row(
    "Storage",
    (
        Panel(
            "Verification of a frame",
            "From reading the staged bytes to the verdict. Slow: the store or the processor; frames wait but are not lost.",
            p50_p99("framelend_storage_verification_seconds"),
            unit="s",
        ),
        Panel(
            "Bytes moved",
            "Between storage and the store.",
            (Query(rate("framelend_storage_bytes", "direction", over=STEADILY), "{{direction}}"),),
            unit="Bps",
        ),
        Panel(
            "Pixel hashes that agents told, in 5 minutes",
            "Against storage's own. Storage believes its own; an agent that often tells others is not honest.",
            (Query(lately("framelend_storage_pixel_claims", "agree"), "{{agree}}"),),
            unit="suffix: frames",
        ),
        Panel(
            "Bundles in 5 minutes",
            "Uploads by what became of them.",
            (Query(lately("framelend_storage_bundles", "outcome"), "{{outcome}}"),),
            unit="suffix: bundles",
        ),
        Panel(
            "Longer work in 5 minutes",
            "Tasks taken under a lease, by kind and outcome. One failing again and again: storage's log has its job.",
            (Query(lately("framelend_storage_tasks", "kind, outcome"), "{{kind}} {{outcome}}"),),
            unit="suffix: tasks",
        ),
        Panel(
            "Cost of verification",
            "Time to verify frames as a share of the time to render them.",
            (
                Query(
                    f"sum(rate(framelend_storage_verification_seconds_sum[{STEADILY}]))"
                    f" / sum(rate(framelend_agent_frame_seconds_sum[{STEADILY}]))",
                    "share",
                ),
            ),
            unit="percentunit",
        ),
    ),
)
