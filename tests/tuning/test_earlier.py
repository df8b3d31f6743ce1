import math
from dataclasses import replace

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from chromasonic import tune
from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.errors import StudyMismatch
from chromasonic.tuning._earlier import fitting_trials
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.session import SearchPlan, open_session
from chromasonic.tuning.storage.opening import sqlite_url
from chromasonic.tuning.study import Fingerprint

SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "width": Integer(1, 9),
        "size": Ordinal([16, 32, 64]),
        "kind": Categorical(["a", "b", "c"]),
    }
)


def bowl(params, trial):
    """Ends in every way but that of a killed process."""
    loss = (params["x"] - 0.3) ** 2 + 0.1 * abs(params["width"] - 4)
    for epoch in range(1, 7):
        if trial.number % 7 == 3 and epoch == 2:
            raise MemoryError
        yield math.nan if trial.number % 7 == 5 and epoch == 3 else loss + 1 / epoch


def other_bowl(params, trial):
    yield from bowl(params, trial)


def run(space=SPACE, n_trials=25, objective=bowl, **options):
    """`tune` in this process and without progress."""
    defaults = {"executor": "inline", "sampler": "random", "verbose": False, "seed": 0}
    return tune(objective, space, n_trials, **{**defaults, **options})


@pytest.fixture
def search():
    return run


@pytest.fixture(scope="module")
def old_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("earlier") / "old"


@pytest.fixture(scope="module")
def old(old_folder):
    """A finished search, which no test may go on with."""
    return run(output_dir=old_folder)


def content(record):
    """All of a trial but its number and where it ran."""
    settings = {name: value for name, value in record.settings.items() if name != "from"}
    fields = replace(record, number=0, settings=settings)
    # nan equals nothing.
    return repr(fields)


def outcome(result):
    """All of a search that must be the same when it is run again."""
    return [
        (
            t.number,
            t.ending,
            t.params,
            t.value,
            t.origin,
            repr([r.loss for r in t.learning_curve]),
        )
        for t in result.trials
    ]


def proposals(result):
    return [trial.params for trial in result.trials if trial.origin is None]


# What is taken over


def test_a_search_starts_from_the_trials_of_another_one(search, old):
    wider = SPACE.with_parameter("x", Float(0.0, 2.0))
    new = search(wider, 30, earlier=old)
    assert len(new.trials) == 30
    assert [content(t) for t in new.trials[:25]] == [content(t) for t in old.trials]
    assert {t.ending for t in old.trials} >= {"completed", "pruned", "diverged", "out_of_memory"}
    assert [t.origin["trial"] for t in new.trials[:25]] == list(range(25))
    assert {t.origin["study_name"] for t in new.trials[:25]} == {"bowl"}
    assert {t.origin for t in new.trials[25:]} == {None}
    assert new["earlier"]["trials"] == new["earlier"]["of"] == 25


def test_a_maximised_search_takes_over_values_with_their_sign(search):
    old = search(maximize=True)
    new = search(n_trials=26, maximize=True, earlier=old)
    assert [content(t) for t in new.trials[:25]] == [content(t) for t in old.trials]


def test_the_study_has_what_the_earlier_one_had_for_samplers_and_pruners(
    search, old, old_folder, tmp_path
):
    search(n_trials=25, earlier=old, output_dir=tmp_path)
    studies = [
        optuna.load_study(study_name="bowl", storage=sqlite_url(folder / "study.db")).trials
        for folder in (old_folder, tmp_path)
    ]
    assert len({trial.state for trial in studies[0]}) == 3
    for before, after in zip(*studies, strict=True):
        for name in ("number", "state", "value", "params", "distributions"):
            assert getattr(after, name) == getattr(before, name), name
        assert repr(after.intermediate_values) == repr(before.intermediate_values)


@pytest.mark.parametrize("sampler", ["gp", "tpe", "cmaes"])
def test_a_sampler_proposes_as_if_the_trials_were_its_own(search, sampler):
    whole = search(n_trials=32, sampler=sampler, pruner="none")
    begun = search(n_trials=20, sampler=sampler, pruner="none")
    going_on = search(n_trials=32, sampler=sampler, pruner="none", earlier=begun)
    if sampler == "cmaes":
        # What it has learned it keeps with trials of its own.
        assert len(proposals(going_on)) == 12
    else:
        assert proposals(going_on) == [t.params for t in whole.trials[20:]]


def test_pruning_compares_with_the_trials_that_were_taken_over(search):
    def steady(params):
        for _ in range(6):
            yield params["x"]

    good = search({"x": (0.0, 0.1)}, 8, steady, pruner="none")
    space = {"x": (0.0, 1.0)}
    new = search(space, 14, steady, earlier=good)
    bad = [trial.ending for trial in new.trials[8:] if trial.params["x"] > 0.1]
    assert len(bad) > 2
    assert set(bad) == {"pruned"}


def test_cancelled_trials_stay_behind(search, tmp_path):
    storage = InMemoryStorage()
    search(n_trials=3, storage=storage)
    study = optuna.load_study(study_name="bowl", storage=storage)
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.FAIL, user_attrs={"chromasonic:ending": Ending.CANCELLED}
        )
    )
    old = search(n_trials=5, storage=storage)
    assert [t.number for t in old.trials] == [0, 1, 2, 4, 5]
    new = search(n_trials=5, earlier=old)
    assert [t.origin["trial"] for t in new.trials] == [0, 1, 2, 4, 5]


def test_a_chain_of_searches_tells_where_each_trial_ran_first(search, old):
    second = search(n_trials=27, earlier=old, study_name="second")
    third = search(n_trials=28, earlier=second, study_name="third")
    origins = [(t.origin["study_name"], t.origin["trial"]) for t in third.trials[:27]]
    assert origins == [("bowl", n) for n in range(25)] + [("second", 25), ("second", 26)]


def test_all_that_is_asked_for_may_be_there_already(search, old, tmp_path):
    new = search(n_trials=25, earlier=old, output_dir=tmp_path / "new")
    assert new.stopped_by == "n_trials"
    assert (tmp_path / "new" / "optimization_results.json").exists()
    assert proposals(new) == []


def test_initial_points_come_after_what_is_taken_over(search, old):
    point = {"x": 0.5, "width": 2, "size": 32, "kind": "c"}
    new = search(n_trials=27, earlier=old, initial_points=[point])
    assert new.trials[25].params == point
    assert new.trials[26].params != point


# What fits


def test_trials_outside_the_new_space_stay_behind_and_it_is_said_why(search, old, capsys):
    space = Space(
        {
            "x": Float(0.2, 1.0),
            "width": Integer(1, 9),
            "size": Ordinal([32, 64, 128]),
            "kind": Categorical(["a", "c"]),
        }
    )
    expected = [
        t.number
        for t in old.trials
        if t.params["x"] >= 0.2 and t.params["size"] != 16 and t.params["kind"] != "b"
    ]
    assert [t.number for t in fitting_trials(old, space)] == expected
    new = search(space, 26, earlier=old, verbose=True)
    assert [t.origin["trial"] for t in new.trials if t.origin] == expected
    shown = capsys.readouterr().out
    assert f"\n{len(expected)} of 25 trials of bowl in " in shown
    n_low = sum(t.params["x"] < 0.2 for t in old.trials)
    assert f"x {n_low}" in shown
    assert "and count among the 26" in shown
    for trial in new.trials:
        assert space.contains(trial.params)


@pytest.mark.parametrize(
    "space",
    [
        SPACE.with_parameter("depth", Integer(1, 3)),
        SPACE.with_parameter("depth", Fixed(3)),
        Space({name: SPACE[name] for name in ("x", "width", "size")}),
    ],
    ids=["searched", "constant", "left out"],
)
def test_a_parameter_that_only_one_of_the_searches_knows_keeps_all_trials_out(old, space):
    assert fitting_trials(old, space) == []


def test_nothing_that_fits_begins_a_search_like_any_other(search, old):
    space = SPACE.with_parameter("x", Float(2.0, 3.0))
    new = search(space, 3, earlier=old)
    assert proposals(new) == proposals(search(space, 3))
    assert new["earlier"]["trials"] == 0


def test_steps_must_be_met(search):
    old = search({"x": (1, 12)}, 20, lambda params: params["x"])
    odd = Space({"x": Integer(1, 21, step=2)})
    assert [t.params["x"] % 2 for t in fitting_trials(old, odd)] == [1] * sum(
        t.params["x"] % 2 for t in old.trials
    )


def test_a_constant_must_be_met_where_it_matters(search):
    old = search({"x": (0.0, 1.0), "k": ["a", "b"]}, 30, lambda p: p["x"] + (p["k"] == "b"))
    space = Space({"x": Float(0.0, 1.0), "k": Fixed("a")})
    assert {t.params["k"] for t in fitting_trials(old, space)} == {"a"}


def test_a_constant_need_not_be_met_where_it_does_not_matter(search):
    def steep(params):
        return params["x"] ** 2

    old = search({"x": (0.0, 1.0), "idle": (0.0, 1.0)}, 30, steep)
    space = Space({"x": Float(0.0, 1.0), "idle": Fixed(0.5)})
    assert len(fitting_trials(old, space)) == 30
    new = search(space, 40, steep, earlier=old, sampler="gp")
    # Each keeps what it was run with.
    assert [t.params for t in new.trials[:30]] == [t.params for t in old.trials]
    assert {t.params["idle"] for t in new.trials[30:]} == {0.5}
    # They teach, and go on doing so.
    assert new.importance[0].name == "x"
    assert len(fitting_trials(new, space)) == 40
    assert len(search(space, 41, steep, earlier=new).trials) == 41


def test_conditions_are_those_of_the_new_space(search):
    space = Space(
        {
            "kind": Categorical(["a", "b"]),
            "x": Float(0.0, 1.0, when={"kind": ["b"]}),
        }
    )

    def objective(params):
        return params.get("x", 0.5)

    old = search(space, 12, objective)
    only_a = Space({"kind": Fixed("a")})
    always = Space({"kind": space["kind"], "x": Float(0.0, 1.0)})
    for new, kinds in ((only_a, {"a"}), (always, {"b"}), (space, {"a", "b"})):
        assert {t.params["kind"] for t in fitting_trials(old, new)} == kinds


# What is refused


def test_another_objective_or_direction_is_refused_and_named(search, old):
    with pytest.raises(StudyMismatch, match=r"earlier search 'bowl' was .* another objective"):
        search(objective=other_bowl, earlier=old)
    with pytest.raises(StudyMismatch, match=r"direction \(then minimize, now maximize\)"):
        search(earlier=old, maximize=True)


def test_a_changed_source_is_refused_unless_it_is_accepted(search, old):
    changed = replace(old, fingerprint={**old.fingerprint, "source of the objective": "x"})
    with pytest.raises(StudyMismatch, match=r"source of the objective.*accept_changed_source"):
        search(earlier=changed)
    assert len(search(n_trials=26, earlier=changed, accept_changed_source=True).trials) == 26


def test_what_is_no_result_of_a_search_is_refused(search, old):
    with pytest.raises(TypeError, match="earlier must be the result of a search, but got str"):
        search(earlier="old")
    with pytest.raises(StudyMismatch, match="must tell what it was started with"):
        search(earlier=replace(old, fingerprint={}))


# Going on


def test_a_search_that_goes_on_takes_over_nothing_again(search):
    place, new_place = InMemoryStorage(), InMemoryStorage()
    old = search(storage=place)
    first = search(n_trials=27, earlier=old, storage=new_place)
    for options in ({"earlier": old}, {}):
        again = search(n_trials=29, storage=new_place, **options)
        assert [t.number for t in again.trials] == list(range(29))
        assert outcome(again)[:27] == outcome(first)
        assert again["earlier"] == first["earlier"]
    # Also if the earlier one has gone on meanwhile.
    more = search(n_trials=30, storage=place)
    assert len(search(n_trials=30, earlier=more, storage=new_place).trials) == 30


def test_a_search_begun_otherwise_is_not_gone_on_with(search, old):
    places = [InMemoryStorage(), InMemoryStorage()]
    alone = search(n_trials=2, storage=places[0])
    with pytest.raises(StudyMismatch, match=r"was begun without an earlier search\. Leave out"):
        search(n_trials=3, storage=places[0], earlier=old)
    begun = search(n_trials=26, storage=places[1], earlier=old)
    with pytest.raises(StudyMismatch, match=r"was begun from the search 'bowl' in .*old/study.db"):
        search(n_trials=27, storage=places[1], earlier=alone)
    assert outcome(search(n_trials=26, storage=places[1])) == outcome(begun)


def test_fresh_begins_from_the_search_of_the_same_name(search):
    place = InMemoryStorage()
    old = search(storage=place)
    new = search(n_trials=26, storage=place, earlier=old, fresh=True)
    assert new["study_name"] == "bowl~2"
    assert len(new.trials) == 26
    assert len(search(n_trials=27, storage=place).trials) == 27


class DiesAfter(InMemoryStorage):
    """A storage whose process dies when it is to make one trial more."""

    def __init__(self, n_trials):
        super().__init__()
        self.left = n_trials

    def create_new_trial(self, study_id, template_trial=None):
        if not self.left:
            raise SystemExit
        self.left -= 1
        return super().create_new_trial(study_id, template_trial)


@pytest.mark.parametrize("n_before", [0, 1, 13, 24, 25])
def test_a_search_killed_while_it_takes_over_goes_on_with_the_rest(search, old, n_before):
    storage = DiesAfter(n_before)
    with pytest.raises(SystemExit):
        search(n_trials=28, earlier=old, storage=storage)
    storage.left = math.inf
    # What the earlier search has found since is not in the middle of it.
    more = replace(old, trials=(*old.trials, replace(old.trials[0], number=99)))
    if n_before < 25:
        with pytest.raises(StudyMismatch, match="was begun from the search 'bowl'"):
            search(n_trials=28, storage=storage)
    new = search(n_trials=28, earlier=more, storage=storage)
    whole = search(n_trials=28, earlier=old)
    assert outcome(new) == outcome(whole)


def test_a_study_that_is_opened_twice_takes_over_once(old):
    plan = SearchPlan(
        SPACE,
        6,
        Fingerprint(old.fingerprint),
        None,
        "bowl",
        storage=InMemoryStorage(),
        earlier=old,
    )
    for _ in range(2):
        with open_session(plan) as session:
            assert len(session.study.get_trials()) == 25


def test_the_same_seed_and_slots_give_the_same_search(search, old, functions_travel):
    options = {"executor": "process", "jobs": 2, "sampler": "gp", "earlier": old}
    first, second = (search(n_trials=29, **options) for _ in range(2))
    assert proposals(first) == proposals(second)
    assert len(proposals(first)) == 4
