"""The operator's report on quotes."""

import xml.etree.ElementTree as ET

from services.scheduler import outcomes
from services.scheduler.domain import quotes
from services.scheduler.domain.quotes import Quote
from tests.unit.scheduler.builders import NOW, WU, a_sampled_job


def a_quote(job: str, ratio: float, done: int = 100) -> Quote:
    made = quotes.made(a_sampled_job(job=job), 1, NOW)
    assert made is not None
    return quotes.shown(made, "owner", False, [(frame, int(ratio * WU)) for frame in range(1, done + 1)])


def test_every_quote_has_a_line_and_only_complete_ones_count_together() -> None:
    said = outcomes.table([a_quote("exact", 1.0), a_quote("dear", 1.25), a_quote("begun", 4.0, done=10)])
    lines = {line.split()[0]: line for line in said.splitlines() if line}
    assert "+0.0 %" in lines["exact"]
    assert "-20.0 %" in lines["dear"]
    assert lines["begun"].split()[3] == "10"
    assert said.endswith("2 complete: median error 20.0 %, nine of ten below 20.0 %, 1 inside their band.")
    assert "No quote has all its frames measured yet" in outcomes.table([])


def test_quotes_that_were_never_rendered_to_their_end_count_apart() -> None:
    """Those that were superseded are the worst ones."""
    superseded = quotes.over(a_quote("worst", 4.0, done=10))
    said = outcomes.table([a_quote("exact", 1.0), superseded, quotes.over(a_quote("untouched", 1.0, done=0))])
    assert said.endswith(
        "1 complete: median error 0.0 %, nine of ten below 0.0 %, 1 inside their band.\n"
        "1 partial: median error 75.0 %, nine of ten below 75.0 %, 0 inside their band."
    )
    assert quotes.is_in_band(quotes.over(a_quote("fair", 1.0, done=10))), "a part is held against its part of the band"


def test_a_plot_is_a_picture_with_a_dot_for_each_measured_stretch() -> None:
    drawn = ET.fromstring(outcomes.plot(a_quote("begun", 1.5, done=10)))
    dots = [one for one in drawn if one.tag.endswith("circle")]
    assert len(dots) == 10
    assert [one.tag.rsplit("}")[-1] for one in drawn][:4] == ["rect", "text", "polygon", "polyline"]
