"""Why a job failed, as its renter reads it: one sentence of what happened, one of what to do.

Only a house agent's failure is final (domain.tries), so the words it sends are the farm's own.
"""

from contracts.events import ChunkFailed, Fault
from contracts.values import Kind

HINTS = {
    Fault.SCENE: "Open the file in Blender 5.0, render this frame there, mend what it complains about, and submit again.",
    Fault.MEMORY: "Use smaller textures, less subdivision or a lower resolution.",
    Fault.MACHINE: "This is the farm's fault, not your file's. Submit again; what is stored stays paid and downloadable.",
    Fault.TIME: "The frame takes far longer than its neighbours. Use fewer samples or a lower resolution.",
}
"""Where the agent that met the fault knows nothing better."""
PLAIN = {
    Fault.SCENE: "something in the file is at fault",
    Fault.MEMORY: "it needs more memory than it may have",
    Fault.MACHINE: "the machine could not go on",
    Fault.TIME: "it takes longer than it may",
}

IN_VAIN = "on the farm's own machine it could not be fetched or begun in time, again and again"
"""Of the house agent, which said nothing worse."""
IN_VAIN_HINT = "Submit again, with a smaller bundle if it is a large one; what is stored stays paid and downloadable."


def in_vain(kind: Kind) -> str:
    return f"The file could not be looked at: {IN_VAIN}" if kind is Kind.INSPECT else f"Rendering cannot go on: {IN_VAIN}"


def reason(kind: Kind, failed: ChunkFailed) -> str:
    """What was tried, where it failed, and what the agent found."""
    found = failed.text.strip() or PLAIN[failed.fault]
    if kind is Kind.INSPECT:
        return f"The file could not be looked at: {found}"
    at = "" if failed.frame is None else f" at frame {failed.frame}"
    return f"Rendering failed{at}, on the farm's own machine too: {found}"


def hint(failed: ChunkFailed) -> str:
    """What the renter may do about it."""
    return failed.hint or HINTS[failed.fault]
