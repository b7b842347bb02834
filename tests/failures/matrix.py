"""The confusion matrix: what was provoked against what it was called, as text and as a picture."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.domain.attempt import Ending
from tests.failures.labels import Failure, Label, called

FOLDER = Path(__file__).resolve().parents[2] / "build" / "failures"


@dataclass(frozen=True)
class Outcome:
    """What became of one provoked failure."""

    failure: Failure
    ending: Ending
    seconds: float

    @property
    def called(self) -> Label:
        return called(self.ending)

    @property
    def is_right(self) -> bool:
        return self.called is self.failure.label and self.failure.frame in (None, self.ending.frame)


def share_right(outcomes: Mapping[str, Outcome]) -> float:
    return sum(outcome.is_right for outcome in outcomes.values()) / len(outcomes)


def text(outcomes: Mapping[str, Outcome]) -> str:
    """The matrix, then every failure with the words a person reads."""
    counted = Counter((outcome.failure.label, outcome.called) for outcome in outcomes.values())
    width = max(len(label) for label in Label) + 2
    lines = ["label \\ called".ljust(16) + "".join(label.rjust(width) for label in Label)]
    lines += [label.ljust(16) + "".join(str(counted[label, other] or ".").rjust(width) for other in Label) for label in Label]
    lines += ["", f"{sum(one.is_right for one in outcomes.values())} of {len(outcomes)} right ({share_right(outcomes):.1%})", ""]
    return "\n".join([*lines, *map(_line, outcomes.values())]) + "\n"


def _line(outcome: Outcome) -> str:
    failure, ending = outcome.failure, outcome.ending
    mark = " " if outcome.is_right else "!"
    frame = "" if ending.frame is None else f" [frame {ending.frame}]"
    advice = f" -> {ending.advice}" if ending.advice else ""
    called = f"{failure.label:13} {outcome.called:13}"
    return f"{mark} {failure.name:28} {called} {outcome.seconds:5.1f} s  {ending.text}{frame}{advice}"


def write(outcomes: Mapping[str, Outcome], name: str) -> str:
    """Into build/failures/, as text and as a picture; the text."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    said = text(outcomes)
    (FOLDER / f"{name}.txt").write_text(said, encoding="utf-8")
    _draw(outcomes, FOLDER / f"{name}.png")
    return said


def _draw(outcomes: Mapping[str, Outcome], to: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    counted = Counter((outcome.failure.label, outcome.called) for outcome in outcomes.values())
    figure, axes = pyplot.subplots(figsize=(6.4, 5.6), dpi=120)
    axes.imshow([[counted[label, other] for other in Label] for label in Label], cmap="Blues")
    for row, label in enumerate(Label):
        for column, other in enumerate(Label):
            if number := counted[label, other]:
                colour = "white" if number > max(counted.values()) / 2 else "black"
                axes.text(column, row, str(number), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(Label)), list(Label), rotation=30)
    axes.set_yticks(range(len(Label)), list(Label))
    axes.set(xlabel="called by the agent", ylabel="label, written down before", title=f"{share_right(outcomes):.1%} right")
    figure.tight_layout()
    figure.savefig(to)
    pyplot.close(figure)
