"""Offers as intake keeps them: whatever order the scheduler's words come in, and a lender's answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Event, JobOffered, OfferAnswered, OfferWithdrawn
from services.intake.domain.offers import Answer, Offer, answered, offered, withdrawn
from services.intake.domain.refusals import Refused
from tests.unit.scheduler.builders import NOW


def an_offer(revision: int = 1, **changes: object) -> JobOffered:
    fields = {
        "owner": "ann", "job": "job", "revision": revision, "renter": "ada", "bundle_bytes": 1, "frames": revision,
        "engine": "CYCLES", "memory_bytes": 1, "price": 1,
    }  # fmt: skip
    return JobOffered.model_validate({**fields, **changes})


GONE = OfferWithdrawn(owner="ann", job="job", revision=3, reason="cancelled")
WORDS: tuple[Event, ...] = (an_offer(1), an_offer(2), GONE)


def heard(offer: Offer | None, event: Event) -> Offer:
    if isinstance(event, OfferWithdrawn):
        return withdrawn(offer, event, NOW)
    assert isinstance(event, JobOffered)
    return offered(offer, event)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9))
def test_in_any_order_and_number_the_last_word_counts_and_a_withdrawn_offer_never_comes_back(words: list[Event]) -> None:
    offer: Offer | None = None
    for word in words:
        offer = heard(offer, word)
    assert offer is not None
    assert (offer.ended_at is not None) is (GONE in words)
    assert offer.revision == max(word.revision for word in words)  # type: ignore[attr-defined]


def test_a_job_that_is_taken_up_again_is_offered_again_with_what_was_said() -> None:
    yes, _ = answered(offered(None, an_offer()), True, ())
    again = offered(withdrawn(yes, GONE, NOW), an_offer(4))
    assert (again.ended_at, again.withdrawn, again.answer) == (None, "", Answer.ACCEPTED)


def test_the_same_answer_again_is_not_told_again_and_another_one_is() -> None:
    offer = offered(None, an_offer())
    yes, first = answered(offer, True, ("ann-1", "ann-1"))
    same, none = answered(yes, True, ("ann-1",))
    no, second = answered(same, False, ("ann-1",))
    assert first == [OfferAnswered(owner="ann", job="job", revision=1, accepted=True, agents=("ann-1",))]
    assert none == []
    assert second == [OfferAnswered(owner="ann", job="job", revision=2, accepted=False)]
    assert (no.answer, no.agents) == (Answer.REJECTED, ())


def test_what_is_told_anew_leaves_the_answer_as_it_is() -> None:
    yes, _ = answered(offered(None, an_offer()), True, ())
    assert offered(yes, an_offer(2)).answer is Answer.ACCEPTED


def test_an_offer_that_is_over_takes_no_answer() -> None:
    for gone in (withdrawn(offered(None, an_offer()), GONE, NOW), withdrawn(None, GONE, NOW)):
        with pytest.raises(Refused, match="cancelled"):
            answered(gone, True, ())
