"""Every state machine of the farm by its literal table; the diagrams are drawn from these and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.domain.attempt import MOVES as ATTEMPT
from agent.domain.comfort import MOVES as LENDING
from services.billing.domain.job import OFFER_STATES, STAGES
from services.intake.domain.uploads import AFTER
from services.notifier.domain.delivery import TABLE
from services.scheduler.domain.states import ACCESS_MOVES, AGENT_MOVES, CHOICE_MOVES, CHUNK_MOVES, JOB_MOVES
from services.storage.domain.frame import MOVES as FRAME
from services.storage.domain.job import MOVES as KEPT_JOB
from services.storage.domain.upload import MOVES as UPLOAD


def machines() -> dict[str, Mapping[Any, Any]]:
    """Title → table: {state: the states it may become} or {(state, cause): state}."""
    return {
        "Job (scheduler decides)": JOB_MOVES,
        "Chunk (scheduler decides)": CHUNK_MOVES,
        "Agent (scheduler decides)": AGENT_MOVES,
        "Agent's access to the broker (scheduler decides)": ACCESS_MOVES,
        "Lender's choice about a job (the scheduler keeps it)": CHOICE_MOVES,
        "Attempt (the agent's own view)": ATTEMPT,
        "Lending (the agent decides, for its owner)": LENDING,
        "Upload (storage decides)": UPLOAD,
        "Upload (as intake shows it)": AFTER,
        "Frame (storage decides)": FRAME,
        "Job's frames (storage decides)": KEPT_JOB,
        "Job's money (billing decides)": STAGES,
        "Quote (billing decides)": OFFER_STATES,
        "Delivery of a message (notifier decides)": TABLE,
    }
