"""The table of measures, as a reader sees it."""

from chromasonic.reporting.melody_table import table_lines


def row(measure, generated, people, spread, standard_error):
    return {
        "measure": measure,
        "generated": generated,
        "people": people,
        "spread": spread,
        "standard_error": standard_error,
    }


COMPARISON = {
    "n_notes": 99,
    "n_generated": 64,
    "n_people": 198,
    "rows": [
        row("self_repetition", 0.031, 0.291, 0.1, 0.01),
        row("longest_copy", 9.0, 9.02, 4.0, None),
        row("scale_consistency", 1.0, 1.0, 0.0, 0.0),
    ],
    "copied_share": 0.125,
}


def test_a_table_shows_each_measure_and_says_what_the_numbers_are():
    assert table_lines(COMPARISON) == [
        "| measure                           | generated | people |     difference | in spreads |",
        "|-----------------------------------|----------:|-------:|---------------:|-----------:|",
        "| self-repetition                   |     0.031 |  0.291 | -0.260 ± 0.020 |       -2.6 |",
        "| longest run from training (notes) |     9.000 |  9.020 |         -0.020 |       +0.0 |",
        "| scale consistency                 |     1.000 |  1.000 | +0.000 ± 0.000 |            |",
        "",
        "64 generated melodies and 198 of people's, 99 notes each.",
        "After ± stand two standard errors of the difference. A spread is the standard deviation "
        "between people's melodies.",
        "12% of the generated melodies share a longer run with the training tunes than 95% of "
        "people's do.",
    ]


def test_without_training_tunes_nothing_is_said_of_copies():
    without = {**COMPARISON, "rows": [], "copied_share": None}
    assert not any("training" in line for line in table_lines(without))
