import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.errors import MissingExtra
from chromasonic.reporting.figures import (
    draw_history,
    draw_importance,
    draw_learning_curves,
    draw_parameters,
    save_figure,
    write_plots,
)
from chromasonic.reporting.figures._canvas import value_limits

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
FILES = ["optimization_history.png", "learning_curves.png", "parameters.png", "importance.png"]

ONE = Space({"learning_rate": Float(1e-5, 1e-1, log=True)})
FOURTEEN = Space(
    {
        "learning_rate": Float(1e-5, 1e-1, log=True),
        "batch_size": Ordinal([16, 32, 64, 128]),
        "hidden_size": Integer(32, 512, log=True),
        "layers": Integer(1, 4),
        "dropout": Float(0.0, 0.5),
        "optimizer": Categorical(["adam", "sgd", "a $very$ long name of one", None]),
        "bias": Categorical([True, False]),
        "momentum": Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
        "none_or_number": Categorical([None, 1, 2.5]),
        "warmup": Integer(10, 80, log=True),
        "weight_decay": Float(1e-6, 1e-2, log=True),
        "step": Float(0.0, 1.0, step=0.25),
        "many": Ordinal(list(range(10, 34))),
        "a$b$_{long} name that goes on and on and on": Integer(0, 1),
        "constant": Fixed(3),
    }
)
ENDINGS = [*["completed"] * 5, "stopped_early", "pruned", "pruned", "diverged", "failed"]


def search(trial, space, n_trials, epochs=4):
    """Trials as a random search leaves them, with every kind of ending."""
    rng = np.random.default_rng(0)
    for number in range(n_trials):
        params = space.sample(rng)
        best = 2 + 0.3 * (math.log10(params["learning_rate"]) + 3) ** 2 + rng.gamma(1, 0.1)
        losses = [best + 1 / epoch - 1 / epochs for epoch in range(1, epochs + 1)]
        ending = ENDINGS[number % len(ENDINGS)]
        if ending == "diverged":
            losses = [losses[0], 1e30, math.nan, math.inf]
        yield trial(number, [] if ending == "failed" else losses, ending, params)


def labels(axes):
    return axes.get_legend_handles_labels()[1]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def artist(axes, label):
    """The artist that stands in the legend as `label`."""
    handles, names = axes.get_legend_handles_labels()
    return handles[names.index(label)]


@pytest.fixture(
    params=[
        "no trials",
        "one trial",
        "one epoch",
        "only failed trials",
        "only nan",
        "only pruned trials",
        "equal losses",
        "one parameter",
        "fourteen parameters",
        "a thousand trials",
        "no space",
        "only constants",
    ]
)
def any_result(request, trial, result):
    everything = {"unit": "nats per note", "baselines": {"bigram": 2.1, "trigram": 1.9}}
    many = {**everything, "space": FOURTEEN.to_dict()}
    one = {**everything, "space": ONE.to_dict()}
    points = [FOURTEEN.sample(np.random.default_rng(seed)) for seed in range(20)]
    match request.param:
        case "no trials":
            return result([], **many)
        case "one trial":
            return result(search(trial, FOURTEEN, 1), **many)
        case "one epoch":
            return result(search(trial, ONE, 20, epochs=1), **one)
        case "only failed trials":
            return result([trial(i, [], "failed", points[i]) for i in range(3)], **many)
        case "only nan":
            curves = [[math.nan], [math.inf, -math.inf]]
            ended = enumerate(curves)
            return result([trial(i, curve, "diverged", points[i]) for i, curve in ended], **many)
        case "only pruned trials":
            return result([trial(i, [2.0 + i], "pruned", points[i]) for i in range(3)], **many)
        case "equal losses":
            return result([trial(i, params=points[i]) for i in range(20)], **many)
        case "one parameter":
            return result(search(trial, ONE, 40), **one)
        case "fourteen parameters":
            return result(search(trial, FOURTEEN, 60), **many)
        case "a thousand trials":
            return result(search(trial, FOURTEEN, 1000), **many)
        case "no space":
            return result(search(trial, ONE, 5))
        case "only constants":
            return result([trial(0, params={"x": 1})], space=Space({"x": Fixed(1)}).to_dict())
    raise NotImplementedError(request.param)


def test_every_picture_of_every_search_is_a_png_of_sensible_size(any_result, tmp_path):
    paths = write_plots(any_result, tmp_path)
    assert [path.name for path in paths] == FILES
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path in paths:
        data = path.read_bytes()
        assert data.startswith(PNG_SIGNATURE)
        assert data.endswith(b"IEND\xaeB`\x82")
        width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
        assert 600 <= width <= 2400
        assert 300 <= height <= 2400


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a", b"\x89PNG")]
)
def test_the_ending_of_the_file_chooses_the_format(name, start, trial, result, tmp_path):
    path = save_figure(draw_history(result([trial(0)])), tmp_path / "plots" / name)
    assert path == tmp_path / "plots" / name
    assert path.read_bytes().startswith(start)


def test_an_unknown_format_is_refused_and_leaves_nothing(trial, result, tmp_path):
    with pytest.raises(ValueError, match="Format 'xyz' is not supported"):
        save_figure(draw_history(result([trial(0)])), tmp_path / "plots.xyz")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_what_to_install(result, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r'pip install "chromasonic\[report\]"'):
        save_figure(draw_history(result()), tmp_path / "plots.png")
    assert list(tmp_path.iterdir()) == []


def modules_loaded_by(code):
    """Forbidden modules that a new interpreter has loaded after `code`."""
    code += (
        "\nimport sys"
        "\nunwanted = {'torch', 'matplotlib', 'matplotlib.pyplot'}"
        "\nprint(*sorted(unwanted & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_reporting_loads_neither_matplotlib_nor_torch():
    code = "from chromasonic.reporting import figures, progress, result_files, text"
    assert modules_loaded_by(code) == []


def test_drawing_needs_no_display_and_no_pyplot():
    code = (
        "from chromasonic.reporting.figures import draw_history\n"
        "from chromasonic.tuning.records import SearchResult\n"
        "draw_history(SearchResult((), 0.0, {}, ''))"
    )
    assert modules_loaded_by(code) == ["matplotlib"]


def test_drawing_changes_no_setting_of_matplotlib(trial, result, tmp_path):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    write_plots(result([trial(0)]), tmp_path)
    assert dict(mpl.rcParams) == before


def test_the_history_tells_endings_apart(trial, result):
    trials = [
        trial(0, [3.0]),
        trial(1, [2.5], "stopped_early"),
        trial(2, [4.0], "pruned"),
        trial(3, [1.0, math.nan], "diverged"),
        trial(4, [2.0]),
        trial(5, [2.2]),
    ]
    (axes,) = draw_history(result(trials)).axes
    assert {"finished (4)", "pruned (1)", "failed (1)"} <= set(labels(axes))
    points = artist(axes, "finished (4)").get_offsets()
    assert points.tolist() == [[0, 3.0], [1, 2.5], [4, 2.0], [5, 2.2]]
    assert artist(axes, "pruned (1)").get_offsets().tolist() == [[2, 4.0]]
    assert artist(axes, "failed (1)").get_xdata() == [3]


def test_best_so_far_falls_with_finished_trials_alone(trial, result):
    trials = [trial(0, [3.0]), trial(1, [1.0], "pruned"), trial(2, [2.0]), trial(3, [2.5])]
    (axes,) = draw_history(result(trials)).axes
    line = artist(axes, "best so far")
    assert line.get_ydata().tolist() == [3.0, 2.0, 2.0, 2.0]
    assert list(line.get_xdata()) == [0, 2, 3, 3]
    assert line.get_drawstyle() == "steps-post"


def test_the_history_has_the_best_baseline_and_the_unit(trial, result):
    found = result(
        [trial(0, [2.0])], unit="nats per note", baselines={"bigram": 2.1, "trigram": 1.9}
    )
    (axes,) = draw_history(found).axes
    line = artist(axes, "best n-gram (trigram): 1.9000")
    assert list(line.get_ydata()) == [1.9, 1.9]
    assert axes.get_ylim()[0] < 1.9
    assert axes.get_ylabel() == "loss (nats per note)"
    assert axes.get_title(loc="left") == "Best loss 2.0000 nats per note, by trial 0 of 1"


def test_losses_without_a_unit_are_just_losses(trial, result):
    (axes,) = draw_history(result([trial(0)])).axes
    assert axes.get_ylabel() == "loss"


def test_a_very_bad_trial_is_marked_at_the_edge_and_squashes_nothing(trial, result):
    trials = [trial(i, [2 + 0.1 * i]) for i in range(9)] + [trial(9, [1e6])]
    (axes,) = draw_history(result(trials)).axes
    assert axes.get_ylim()[1] < 5
    edge = artist(axes, "finished, above the range (1)").get_offsets()
    assert edge.tolist() == [[9, axes.get_ylim()[1]]]
    assert len(artist(axes, "finished (10)").get_offsets()) == 9


def test_learning_curves_have_whole_epochs_only(trial, result):
    for n_epochs in (1, 2, 3, 50):
        figure = draw_learning_curves(result([trial(0, np.linspace(3, 2, n_epochs).tolist())]))
        (axes,) = figure.axes
        assert all(tick == int(tick) for tick in axes.get_xticks())
        assert axes.get_xlabel() == "epoch"


def test_the_best_three_learning_curves_are_named_best_first(trial, result):
    trials = [trial(i, [9.0, 2.0 + abs(i - 3)]) for i in range(6)]
    trials.append(trial(6, [1.0, 1.0], "pruned"))
    (axes,) = draw_learning_curves(result(trials)).axes
    named = [label for label in labels(axes) if label.startswith("trial")]
    assert named == ["trial 3: 2.0000", "trial 2: 3.0000", "trial 4: 3.0000"]
    assert artist(axes, "trial 3: 2.0000").get_ydata().tolist() == [9.0, 2.0]
    assert {"pruned (1)", "other finished (3)"} <= set(labels(axes))


def test_a_learning_curve_breaks_where_the_loss_is_no_number(trial, result):
    curve = [3.0, math.nan, 2.5, math.inf, -math.inf, 2.0]
    (axes,) = draw_learning_curves(result([trial(0, curve)])).axes
    drawn = artist(axes, "trial 0: 2.0000").get_ydata()
    assert np.isnan(drawn).tolist() == [False, True, False, True, True, False]


def test_a_curve_of_one_epoch_is_a_point(trial, result):
    (axes,) = draw_learning_curves(result([trial(0, [2.0], "pruned")])).axes
    assert axes.collections[-1].get_offsets().tolist() == [[1, 2.0]]


def test_each_varied_parameter_has_a_panel_and_constants_have_none(trial, result):
    found = result(search(trial, FOURTEEN, 20), space=FOURTEEN.to_dict())
    figure = draw_parameters(found)
    assert len(figure.axes) == 14
    scales = {axes.get_xlabel(): axes.get_xscale() for axes in figure.axes}
    logarithmic = {name for name, scale in scales.items() if scale == "log"}
    assert logarithmic == {"learning_rate", "hidden_size", "warmup", "weight_decay"}


def test_choices_stand_at_places_of_their_own(trial, result):
    choices = [None, True, "sgd", 3]
    space = Space({"kind": Categorical(choices)})
    trials = [trial(i, params={"kind": choices[i % 4]}) for i in range(40)]
    (axes,) = draw_parameters(result(trials, space=space.to_dict())).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["None", "True", "sgd", "3"]
    places = artist(axes, "finished (40)").get_offsets()[:, 0]
    assert np.round(places).astype(int).tolist() == [i % 4 for i in range(40)]
    assert len(set(places)) == 40


def test_a_panel_shows_the_whole_range_and_only_trials_that_have_the_parameter(trial, result):
    space = Space(
        {
            "kind": Categorical(["a", "b"]),
            "x": Float(0.0, 10.0, when={"kind": ["b"]}),
        }
    )
    trials = [trial(0, params={"kind": "a"}), trial(1, [1.0], params={"kind": "b", "x": 4.0})]
    axes = draw_parameters(result(trials, space=space.to_dict())).axes[1]
    low, high = axes.get_xlim()
    assert low < 0
    assert high > 10
    assert artist(axes, "finished (1)").get_offsets().tolist() == [[4.0, 1.0]]
    assert artist(axes, "best").get_offsets().tolist() == [[4.0, 1.0]]


@pytest.mark.parametrize(
    "parameter",
    [Integer(32, 64, log=True), Integer(16, 1024, log=True), Float(1e-6, 1.0, log=True)],
)
def test_a_log_axis_has_labels_on_any_range(parameter, trial, result):
    space = Space({"x": parameter})
    params = [{"x": parameter.low}, {"x": parameter.high}]
    trials = [trial(i, [1.0 + i], params=params[i]) for i in range(2)]
    figure = draw_parameters(result(trials, space=space.to_dict()))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 2


def test_dollar_signs_are_shown_and_start_no_formula(trial, result):
    space = Space({r"a$\broken$": Categorical([r"$\frac$", "b"])})
    trials = [trial(0, params={r"a$\broken$": "b"})]
    figure = draw_parameters(result(trials, space=space.to_dict()))
    figure.draw_without_rendering()


def test_importance_is_drawn_as_it_stands_in_the_result(trial, result):
    found = result(search(trial, FOURTEEN, 60), space=FOURTEEN.to_dict())
    (axes,) = draw_importance(found).axes
    effects = found.importance
    assert [bar.get_width() for bar in axes.patches] == [e.total.estimate for e in effects]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == effects[0].name == "learning_rate"
    assert len(names) == 14
    alone = artist(axes, "alone").get_offsets()[:, 0]
    assert alone.tolist() == [e.main.estimate for e in effects]
    whiskers = next(c for c in axes.collections if hasattr(c, "get_segments"))
    ends = [[segment[0][0], segment[1][0]] for segment in whiskers.get_segments()]
    np.testing.assert_allclose(ends, [[e.total.low, e.total.high] for e in effects])


def test_trials_that_may_differ_by_chance_give_a_picture_that_says_so(trial, result):
    rng = np.random.default_rng(0)
    trials = [trial(i, [rng.normal()], params=ONE.sample(rng)) for i in range(20)]
    (said,) = texts(draw_importance(result(trials, space=ONE.to_dict())))
    assert said.endswith("between 20 finished trials may be chance.")


def test_too_few_trials_give_a_picture_that_says_so(trial, result):
    found = result(search(trial, ONE, 5), space=ONE.to_dict())
    (said,) = texts(draw_importance(found))
    assert said.startswith("Not enough data yet")
    assert said.endswith("so far 5.")


@pytest.mark.parametrize("draw", [draw_history, draw_learning_curves, draw_parameters])
def test_a_search_without_trials_gives_a_picture_that_says_so(draw, result):
    (said,) = texts(draw(result([], space=ONE.to_dict())))
    assert said.startswith("No trial has")


def test_limits_keep_every_value_where_none_is_extreme():
    low, high = value_limits([2.0, 3.0, 4.0, None, math.nan]).ends
    assert low == pytest.approx(1.9)
    assert high == pytest.approx(4.1)


@pytest.mark.parametrize("extreme", [1e3, 1e30, 1e300])
def test_limits_leave_a_third_of_the_height_to_most_values(extreme):
    low, high = value_limits([2.0, 2.2, 2.4, 2.6, extreme]).ends
    assert low < 2.0
    assert (2.6 - 2.0) / (high - low) > 0.3


def test_limits_of_equal_values_have_a_height():
    for value in (0.0, -3.0, 1e-9, 1e9):
        low, high = value_limits([value, value]).ends
        assert low < value < high


def test_there_are_no_limits_without_a_finite_value():
    assert value_limits([]) is None
    assert value_limits([math.nan, math.inf, None]) is None


def test_limits_of_a_maximised_objective_are_those_of_its_mirror_image():
    values = [2.0, 2.2, 2.4, 2.6, 1e3, math.nan, -math.inf, None]
    mirrored = [None if value is None else -value for value in values]
    limits, mirror = value_limits(values), value_limits(mirrored, maximize=True)
    assert mirror.ends == (-limits.high, -limits.low)
    assert mirror.bad_end == -limits.bad_end == mirror.low
    beyond = [4.0, 1e3, math.inf]
    assert limits.are_beyond([*beyond, 2.0, math.nan]).tolist() == [True] * 3 + [False] * 2
    assert mirror.are_beyond([-v for v in beyond]).all()
    drawn = limits.within_reach([2.0, 1e9, math.nan])
    np.testing.assert_array_equal(mirror.within_reach([-2.0, -1e9, math.nan]), -drawn)
    assert drawn[0] == 2.0
    assert limits.high < drawn[1] < 1e3


# A maximised objective


def maximised(result, trials, **description):
    """Result of `tune(..., maximize=True)`: values with the objective's own sign."""
    return result(trials, direction="maximize", objective="mine.accuracy", **description)


def risen(trial, number, values, ending="completed", params=None):
    """A trial of a maximised objective."""
    return negated(trial(number, [-value for value in values], ending, params))


def negated(record):
    """The trial as an objective with the opposite sign gives it."""
    curve = tuple(replace(row, loss=-row.loss) for row in record.learning_curve)
    return replace(record, learning_curve=curve)


def test_the_best_so_far_of_a_maximised_objective_rises_to_its_largest_value(trial, result):
    values = [0.2, 0.6, 0.5, 0.9, 0.1]
    trials = [risen(trial, i, [value]) for i, value in enumerate(values)]
    trials.append(risen(trial, 5, [0.99], "pruned"))
    (axes,) = draw_history(maximised(result, trials)).axes
    assert artist(axes, "best so far").get_ydata().tolist() == [0.2, 0.6, 0.6, 0.9, 0.9, 0.9]
    (star,) = [c.get_offsets().tolist() for c in axes.collections if c.get_zorder() == 4]
    assert star == [[3, 0.9]]
    assert axes.get_title(loc="left") == "Best value 0.9000, by trial 3 of 6"
    assert axes.get_ylabel() == "value (higher is better)"


def test_a_very_bad_trial_of_a_maximised_objective_is_marked_at_the_lower_edge(trial, result):
    trials = [risen(trial, i, [2 + 0.1 * i], params={"x": i}) for i in range(9)]
    trials.append(risen(trial, 9, [-1e6], params={"x": 9}))
    found = maximised(result, trials, space=Space({"x": Integer(0, 20)}).to_dict())
    for draw in (draw_history, draw_parameters):
        (axes,) = draw(found).axes
        low, high = axes.get_ylim()
        assert -1 < low < 2
        assert high > 2.8
        edge = artist(axes, "finished, below the range (1)")
        assert edge.get_offsets().tolist() == [[9, low]]
        # The triangle points down: its tip is its lowest corner.
        (corners,) = [path.vertices for path in edge.get_paths()]
        assert corners[corners[:, 1].argmin(), 0] == pytest.approx(0)
        assert len(artist(axes, "finished (10)").get_offsets()) == 9


def test_the_best_mark_of_each_parameter_is_at_the_largest_value(trial, result):
    trials = [risen(trial, i, [i], params={"x": 10 + i}) for i in range(3)]
    found = maximised(result, trials, space=Space({"x": Integer(0, 20)}).to_dict())
    figure = draw_parameters(found)
    (axes,) = figure.axes
    assert artist(axes, "best").get_offsets().tolist() == [[12, 2]]
    assert figure.get_supylabel() == "value (higher is better)"


def test_the_best_learning_curves_of_a_maximised_objective_end_highest(trial, result):
    trials = [risen(trial, i, [-3.0, 1.0 - abs(i - 3), -5.0]) for i in range(6)]
    (axes,) = draw_learning_curves(maximised(result, trials)).axes
    named = [label for label in labels(axes) if label.startswith("trial")]
    assert named == ["trial 3: 1.0000", "trial 2: 0.0000", "trial 4: 0.0000"]
    assert artist(axes, named[0]).get_markevery() == [1]
    assert axes.get_ylabel() == "value (higher is better)"


def test_a_learning_curve_that_falls_out_of_the_picture_does_not_squash_the_others(trial, result):
    trials = [risen(trial, i, [0.1, 0.5, 0.6 + 0.01 * i]) for i in range(9)]
    trials.append(risen(trial, 9, [0.1, -1e9], "diverged"))
    (axes,) = draw_learning_curves(maximised(result, trials)).axes
    low, high = axes.get_ylim()
    assert -3 < low < 0.1
    assert high > 0.68
    (fallen,) = artist(axes, "failed (1)").get_segments()
    assert low > fallen[1][1] > -100


def test_the_importance_of_a_maximised_objective_is_that_of_the_mirrored_one(trial, result):
    rng = np.random.default_rng(0)
    space = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    points = [space.sample(rng) for _ in range(30)]
    minimised = [trial(i, [2 + p["x"]], params=p) for i, p in enumerate(points)]
    found = maximised(result, [negated(t) for t in minimised], space=space.to_dict())
    assert found.importance == result(minimised, space=space.to_dict()).importance
    assert found.importance[0].name == "x"
    (axes,) = draw_importance(found).axes
    assert axes.get_title(loc="left") == "What each hyperparameter explains of the value"


def test_pictures_of_a_maximised_objective_mirror_those_of_the_minimised_one(trial, result):
    """All that is drawn of values, upside down."""
    trials = [*search(trial, ONE, 40)]
    space = ONE.to_dict()
    up = maximised(result, [negated(t) for t in trials], space=space)
    down = result(trials, space=space)
    for draw in (draw_history, draw_learning_curves, draw_parameters):
        (higher,), (lower,) = draw(up).axes, draw(down).axes
        low, high = lower.get_ylim()
        assert higher.get_ylim() == pytest.approx((-high, -low))
        for one, other in zip(higher.collections, lower.collections, strict=True):
            np.testing.assert_allclose(one.get_offsets(), other.get_offsets() * [1, -1])
