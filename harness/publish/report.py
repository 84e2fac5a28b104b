"""`results/REPORT.md`: what the boards allow one to say, in sentences made of their verdicts and nothing else.

What somebody found out about a surprising row stands in `results/findings/<protocol>/<dataset>.md` and is shown under
its board; all other words are made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from harness.publish import words
from harness.publish.markdown import escaped
from harness.publish.optimism import claims
from harness.publish.overview import kendall
from harness.publish.rows import Board
from harness.publish.scores import PUBLISHED, TUNED, VERDICT, outcomes
from harness.publish.sizes import sized
from harness.publish.tables import NAMES, record_title
from harness.record import Record
from harness.statistics import compare

#: The loss that others are set against: the field's oldest, which the Reality Check found hard to beat.
REFERENCE = "contrastive"
#: The floor of a trained network: the trunk's own features.
UNTRAINED = "untrained"

HEAD = """# What the boards say

Drawn from `results/records` by `python run_benchmark.py leaderboard`; do not edit. "Better", "worse" and "not told
apart" are the verdicts of each board's one comparison of all its pairs (max-T over test classes and repetitions, 95 %),
on MAP@R of one model with tuned hyperparameters; points are points of percent. A method that is not told apart from
another is not shown to be equal to it. Nothing here speaks of other backbones, budgets or datasets than the board's
own. The tables are in [LEADERBOARD.md](LEADERBOARD.md).
"""


def report(boards: Sequence[Board], findings: Mapping[str, str]) -> str:
    """The whole page. findings: by a board's slug, what was found out about its surprising rows, as Markdown."""
    parts = [HEAD]
    for board in boards:
        parts.append(f"## {escaped(board.title)}\n")
        parts += [f"{paragraph}\n" for paragraph in _paragraphs(board)]
        if board.slug in findings:
            parts.append(f"**Looked into.** {findings[board.slug].strip()}\n")
    return "\n".join(parts)


def _paragraphs(board: Board) -> Iterator[str]:
    yield _what(board)
    if board.comparison is not None:
        yield _against(board, REFERENCE)
        yield _against(board, UNTRAINED)
    yield from _tuning(board)
    yield from _arrival(board)
    yield from _validation(board)
    yield from _optimism(board)
    yield _cost(board)


def _what(board: Board) -> str:
    first = board.first
    complete = board.complete
    floors = sum(record.method_kind == "floor" for record in complete)
    searches, repetitions = board.most("searches"), board.most("repetitions")
    said = (
        f"{words.plural(len(complete) - floors, 'method')} and {words.plural(floors, 'floor')}, "
        f"{words.plural(searches, 'search')} and {words.plural(repetitions, 'repetition')} each; "
        f"{words.plural(first.test.images, 'test image')} of {first.test.classes} classes."
    )
    if others := len(board.records) - len(complete):
        said += f" Not complete: {words.plural(others, 'other entry')}."
    if first.partial:
        said += " Part of the data alone, so nothing here compares with numbers on the whole."
    return said


# -- verdicts --------------------------------------------------------------------------------------------------------
def _against(board: Board, method: str) -> str:
    """Who is better, worse and not told apart from one entry."""
    comparison = board.comparison
    assert comparison is not None
    if method not in board.compared:
        return f"**Against {method}.** It is not among the entries that were compared here."
    j = board.compared.index(method)
    kinds: dict[str, list[tuple[float, str]]] = {"Better": [], "Worse": [], "Not told apart": []}
    for record in board.records:  # the best first
        if record.method not in board.compared or record.method == method:
            continue
        i = board.compared.index(record.method)
        difference = float(comparison.difference[i, j])
        kind = "Not told apart" if not comparison.different[i, j] else "Better" if difference > 0 else "Worse"
        kinds[kind].append((difference, record_title(record)))
    said = [f"{kind}: {_listed(found)}." for kind, found in kinds.items()]
    title = record_title(next(record for record in board.records if record.method == method))
    score = words.percent(board.row(method, TUNED)[f"separated_{VERDICT}"])
    return f"**Against {escaped(title)}** ({score}). {' '.join(said)}"


def _listed(found: Sequence[tuple[float, str]]) -> str:
    return ", ".join(f"{escaped(title)} ({words.gain(points)})" for points, title in found) or "none"


# -- tuning ----------------------------------------------------------------------------------------------------------
def _tuning(board: Board) -> Iterator[str]:
    """What tuned values gained over the published ones; each entry's pair of rows is a comparison of its own."""
    moved = {record.method: found for record in board.records if (found := _moved(board, record)) is not None}
    if not moved:
        return
    titles = {record.method: record_title(record) for record in board.records}
    up = [(points, titles[m]) for m, (points, different) in moved.items() if different and points > 0]
    down = [(points, titles[m]) for m, (points, different) in moved.items() if different and points < 0]
    gains = sorted(points for points, _ in moved.values())
    yield (
        f"**What tuning moved.** Over {words.plural(len(moved), 'entry')}, tuned values score {words.gain(gains[0])} "
        f"to {words.gain(gains[-1])} points beside the published ones, by median {words.gain(median(gains))}. Told "
        f"apart from their published values, each pair by itself: better {_listed(up)}; worse {_listed(down)}."
    )


def _moved(board: Board, record: Record) -> tuple[float, bool] | None:
    """Tuned minus published MAP@R, and whether they are told apart; None where an entry has not both rows."""
    if record.status != "complete" or (record.method, PUBLISHED) not in board.frame.index:
        return None
    arrays = board.arrays[record.method]
    both = [outcomes(record, arrays, variant, VERDICT) for variant in (TUNED, PUBLISHED)]
    told = [found for found in both if found is not None]
    if len(told) < 2:
        return None
    pair = compare(told)
    return float(pair.difference[0, 1]), bool(pair.different[0, 1])


@dataclass(frozen=True)
class Move:
    """From the published values to a search's choice: points of a metric on validation and on test, fractions."""

    validation: float
    test: float


def _arrival(board: Board) -> Iterator[str]:
    """Whether what a search gains on validation arrives on the test classes, and at what price in Recall@1."""
    complete = [record for record in board.complete if record.space and record.published_runs]
    left = [(r, s) for r in complete for s, search in enumerate(r.searches) if search.chosen]
    searches = sum(len(record.searches) for record in complete)
    moves = {
        metric: [move for record, s in left if (move := _move(record, s, metric)) is not None]
        for metric in (VERDICT, "precision_at_1")
    }
    if not moves[VERDICT]:
        return
    said = [
        f"{NAMES[metric]} by {words.gain(mean(m.validation for m in found))} points on validation and by "
        f"{words.gain(mean(m.test for m in found))} on test"
        for metric, found in moves.items()
        if found
    ]
    yield (
        f"**Whether it arrives.** {len(left)} of {words.plural(searches, 'search')} chose other values than the "
        f"published ones. Between these two, final trainings differ by mean in {', and in '.join(said)}."
    )


def _move(record: Record, search: int, metric: str) -> Move | None:
    """None where nothing was validated."""
    chosen = [run for run in record.runs if run.search == search and run.fold is not None]
    published = [run for run in record.published_runs if run.fold is not None]
    if not chosen or not published or any(metric not in run.validation for run in (*chosen, *published)):
        return None
    sides = [
        (mean(run.validation[metric] for run in runs), mean(run.metrics[metric] for run in runs))
        for runs in (chosen, published)
    ]
    return Move(sides[0][0] - sides[1][0], sides[0][1] - sides[1][1])


# -- validation, optimism, cost --------------------------------------------------------------------------------------
def _validation(board: Board) -> Iterator[str]:
    """Whether validation orders the methods as test does, and what the size of its gallery is worth."""
    found = [s for record in board.complete if (s := sized(board, record)) is not None]
    if len(found) < 2:
        return
    tau = kendall([s.validation for s in found], [s.whole for s in found])
    whole, matched = (median(getattr(s, size) - s.validation for s in found) for size in ("whole", "matched"))
    yield (
        f"**Validation and test.** Over {words.plural(len(found), 'entry')}, validation and test order them with "
        f"Kendall's tau {tau:.2f} (first repetition). Test scores lie {words.gain(whole)} points beside validation by "
        f"median; on test galleries of as many classes as validation has, {words.gain(matched)}."
    )


def _optimism(board: Board) -> Iterator[str]:
    found = claims(board)
    if found:
        epoch, seed = [f.best_epoch - f.honest for f in found], [f.best_seed - f.honest for f in found]
        yield (
            f"**Optimism.** Of {words.plural(len(found), 'entry')} audited: choosing each training's epoch on the test "
            f"classes would have added {words.gain(min(epoch))} to {words.gain(max(epoch))} points, and reporting the "
            f"best repetition of those {words.gain(min(seed))} to {words.gain(max(seed))}."
        )


def _cost(board: Board) -> str:
    seconds = {
        record_title(r): r.seconds["total"]
        for r in board.records
        if "total" in r.seconds and r.method_kind != "floor"
    }
    if not seconds:
        return "**Cost.** Nothing was trained."
    dearest = max(seconds, key=lambda title: seconds[title])
    devices = ", ".join(sorted({str(r.environment.get("device")) for r in board.records}))
    return (
        f"**Cost.** {words.duration(sum(seconds.values()))} of trainings and measurements, one after another "
        f"({escaped(devices)}); a method {words.duration(median(seconds.values()))} by median, at most "
        f"{words.duration(seconds[dearest])} ({escaped(dearest)})."
    )
