import numpy as np
import pytest

from chromasonic.melody_generation.data.vocabulary import TICKS_PER_QUARTER
from chromasonic.reporting.figures import draw_piano_roll, save_figure

MELODY = ([67, 69, 67, 72], [480, 240, 240, 960])


def random_melody(seed, n, low=55, high=93):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high + 1, n), rng.choice([120, 240, 480, 960], n)


def bars(axes):
    """(start, end, pitch) of each bar, in quarters."""
    (notes,) = axes.containers
    return [
        (bar.get_x(), bar.get_x() + bar.get_width(), bar.get_y() + bar.get_height() / 2)
        for bar in notes
    ]


@pytest.mark.parametrize(
    "melodies",
    [
        [],
        [([], [])],
        [([60], [1])],
        [([21, 108], [15360, 15360])],
        [([21, 108], [480, 480])] * 8,
        [random_melody(seed, 30) for seed in range(8)],
        [random_melody(0, 300), ([60], [480]), ([], [])],
    ],
)
def test_every_picture_is_a_png_of_sensible_size(melodies, tmp_path):
    titles = [f"melody ${i}$ " + "x" * 200 for i in range(len(melodies))]
    path = save_figure(draw_piano_roll(melodies, titles=titles), tmp_path / "plots" / "roll.png")
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
    assert width == 1500
    assert 200 <= height <= 2400


def test_each_note_is_a_bar_from_its_onset_to_its_end_at_its_pitch():
    (axes,) = draw_piano_roll([MELODY]).axes
    expected = [(0, 1, 67), (1, 1.5, 69), (1.5, 2, 67), (2, 4, 72)]
    np.testing.assert_allclose(bars(axes), expected)
    assert axes.get_xlabel() == "quarters"


def test_a_quarter_has_as_many_ticks_here_as_in_the_data():
    (axes,) = draw_piano_roll([([60], [3 * TICKS_PER_QUARTER])]).axes
    assert bars(axes) == [(0, 3, 60)]


def test_each_melody_has_a_row_and_time_is_shared():
    melodies = [MELODY, random_melody(0, 40), random_melody(1, 30)]
    figure = draw_piano_roll(melodies, ["first", "second $x$", "third"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "first",
        r"second \$x\$",
        "third",
    ]
    for axes, (pitches, durations) in zip(figure.axes, melodies, strict=True):
        assert len(bars(axes)) == len(pitches) == len(durations)
    longest = max(sum(durations) for _, durations in melodies) / 480
    assert {axes.get_xlim() for axes in figure.axes} == {(0, longest)}
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "quarters"]


@pytest.mark.parametrize("pitch", [21, *range(55, 67), 108])
def test_a_c_is_named_in_every_row_and_middle_c_is_c4(pitch):
    (axes,) = draw_piano_roll([([pitch], [480])]).axes
    low, high = axes.get_ylim()
    assert low < pitch < high
    texts = [label.get_text() for label in axes.get_yticklabels()]
    names = dict(zip(texts, axes.get_yticks(), strict=True))
    assert names
    for name, at in names.items():
        assert low < at < high
        assert at == 60 + 12 * (int(name.removeprefix("C")) - 4)


def test_a_semitone_is_as_high_in_every_row():
    figure = draw_piano_roll([([60], [480]), ([40, 90], [480, 480]), random_melody(0, 20)])
    figure.draw_without_rendering()
    heights = [
        axes.get_position().height / np.ptp(axes.get_ylim()) * figure.get_size_inches()[1]
        for axes in figure.axes
    ]
    np.testing.assert_allclose(heights, heights[0], rtol=0.01)


@pytest.mark.parametrize("n", [1, 3, 50, 400])
def test_the_labels_of_time_are_few_and_powers_of_two_apart(n):
    figure = draw_piano_roll([([60] * n, [480] * n)])
    (axes,) = figure.axes
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= n]
    (step,) = set(np.diff(ticks))
    assert np.log2(step) == int(np.log2(step))
    assert 2 <= len(ticks) <= 15


def test_the_gap_between_bars_hides_none_of_them():
    figure = draw_piano_roll([([21, 108], [480, 480])] * 8)
    axes = figure.axes[0]
    figure.draw_without_rendering()
    bar = axes.containers[0][0]
    height = 72 / figure.dpi * bar.get_window_extent().height
    assert bar.get_linewidth() < 0.2 * height


def test_no_melodies_give_a_picture_that_says_so():
    (axes,) = draw_piano_roll([]).axes
    assert [text.get_text() for text in axes.texts] == ["There is no melody to draw."]


def test_more_melodies_than_a_picture_holds_are_refused():
    with pytest.raises(ValueError, match="at most 8 melodies, but got 9"):
        draw_piano_roll([MELODY] * 9)


def test_titles_must_be_as_many_as_melodies():
    with pytest.raises(ValueError, match="as many titles as melodies, but got 1 and 2"):
        draw_piano_roll([MELODY] * 2, ["one"])


def test_durations_must_be_as_many_as_pitches():
    with pytest.raises(ValueError, match=r"as many durations as pitches, .* \(1,\) and \(2,\)"):
        draw_piano_roll([([60, 62], [480])])
