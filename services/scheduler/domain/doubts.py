"""Scene faults that lenders report and the house has not confirmed yet.

Theory. A file that cannot be rendered must not cost three hundred lenders their time, and one stranger must not stop a rival's
job. So the first scene fault that an owner's machine reports brings its chunk to the house agent at once; what two different
owners doubt is given to no more lenders until the house has tried. Its scene fault ends the job. Once the frames are there,
whoever brought them, the doubt is refuted, and that owner's word on this job's scene counts no more than any other failure.
"""

from dataclasses import dataclass, replace

MOST = 16


@dataclass(frozen=True)
class Doubt:
    owner: str
    chunk: str


@dataclass(frozen=True)
class Doubts:
    """Of one job. `open` ones wait for the house; `refuted` are owners who were wrong."""

    open: tuple[Doubt, ...] = ()
    refuted: tuple[str, ...] = ()


NONE = Doubts()


def is_heard(doubts: Doubts, owner: str) -> bool:
    """Whether this owner's word on the scene is worth the house's time."""
    return owner not in doubts.refuted and len(doubts.open) < MOST


def raised(doubts: Doubts, owner: str, chunk: str) -> Doubts:
    new = Doubt(owner, chunk)
    return doubts if new in doubts.open or not is_heard(doubts, owner) else replace(doubts, open=(*doubts.open, new))


def refuted(doubts: Doubts, chunk: str) -> Doubts:
    """This chunk can be rendered, or the house failed at it for another reason than the scene."""
    wrong = [one.owner for one in doubts.open if one.chunk == chunk]
    if not wrong:
        return doubts
    known = tuple(dict.fromkeys((*doubts.refuted, *wrong)))[-MOST:]
    return Doubts(tuple(one for one in doubts.open if one.chunk != chunk), known)


def holds(doubts: Doubts, owners: int) -> bool:
    """So many different owners doubt it: no more lenders for now."""
    return bool(doubts.open) and len({one.owner for one in doubts.open}) >= owners
