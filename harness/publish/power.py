"""How small a difference a board can show: what more repetitions would have to be made for."""

from __future__ import annotations

import statistics

from harness.publish import words
from harness.publish.rows import Board
from harness.statistics import separable_difference


def power_note(board: Board) -> str:
    """The difference in MAP@R that this many repetitions separate, in words; "" where nothing was compared.

    The median over the pairs of each compared entry with the one that ranks first; a difference of one pair, while the
    table's simultaneous verdicts need more.
    """
    told = board.compared_outcomes()
    repetitions = board.most("repetitions")
    if len(told) < 2 or repetitions < 2:
        return ""
    first, *others = told.values()
    differences = [separable_difference(first, other, repetitions) for other in others]
    known = [value for value in differences if not words.missing(value)]
    if not known:
        return ""
    made = f"{words.plural(repetitions, 'repetition')}, {words.plural(board.most('searches'), 'search')}"
    points = words.percent(statistics.median(known), 1)
    return (
        f"With {made} and these test classes, a single pair is told apart in four of five cases when it truly "
        f"differs by {points} points of MAP@R (median over pairs with the first entry); the "
        "table as a whole asks for more."
    )
