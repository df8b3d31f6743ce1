import pytest
from optuna.storages import InMemoryStorage

from chromasonic import Fixed, Float, Integer, Space, refine_space, tune
from chromasonic.bayesopt import space_from_toml
from chromasonic.bayesopt.analysis.refinement import Action
from chromasonic.errors import StudyError
from chromasonic.tuning.records import SearchResult

SPACE = Space(
    {
        "rate": Float(1e-4, 1e-2, log=True),
        "units": Integer(64, 512, step=32),
        "idle": Float(0.0, 1.0),
    }
)


def cost(params):
    """Best at the highest rate and 256 units."""
    return 0.01 / params["rate"] ** 0.5 + abs(params["units"] - 256) / 256


@pytest.fixture(scope="module")
def found():
    options = {"executor": "inline", "verbose": False, "seed": 1, "sampler": "gp"}
    return tune(cost, SPACE, 40, storage=InMemoryStorage(), **options)


def test_a_search_is_refined_by_where_its_good_trials_lie(found):
    refinement = refine_space(found)
    decisions = {decision.name: decision for decision in refinement.decisions}
    assert decisions["rate"].action is Action.WIDEN
    assert refinement.space["rate"] == Float(1e-4, 0.1, log=True)
    assert decisions["units"].action is Action.NARROW
    assert refinement.space["units"].contains(256)
    assert refinement.space["idle"] == Fixed(found["best_params"]["idle"])
    assert [str(d).partition(":")[0] for d in refinement.decisions] == list(SPACE)


def test_the_trials_that_fit_are_those_that_the_next_search_starts_from(found):
    refinement = refine_space(found)
    units = refinement.space["units"]
    expected = [t.number for t in found.trials if units.contains(t.params["units"])]
    assert [t.number for t in refinement.fitting_trials] == expected
    assert 0 < len(expected) < 40
    n_trials = len(expected) + 5
    options = {"executor": "inline", "verbose": False, "earlier": found}
    new = tune(cost, refinement.space, n_trials, **options)
    assert [t.origin["trial"] for t in new.trials if t.origin] == expected
    assert new["best_value"] < found["best_value"]


def test_the_text_of_a_refinement_holds_the_space_and_the_reasons(found):
    refinement = refine_space(found)
    text = refinement.to_toml()
    assert space_from_toml(text) == refinement.space
    for decision in refinement.decisions:
        assert f"# {decision.reason}\n[{decision.name}]\n" in text


def test_a_maximised_search_is_refined_like_its_mirror_image(found):
    def gain(params):
        return -cost(params)

    options = {"executor": "inline", "verbose": False, "seed": 1, "sampler": "gp"}
    up = tune(gain, SPACE, 40, maximize=True, **options)
    assert refine_space(up).space == refine_space(found).space


def test_a_search_that_has_hardly_begun_changes_nothing():
    begun = tune(cost, SPACE, 4, executor="inline", verbose=False)
    refinement = refine_space(begun)
    assert refinement.space == SPACE
    assert len(refinement.fitting_trials) == 4
    assert all("too few to judge" in decision.reason for decision in refinement.decisions)


def test_a_result_that_does_not_tell_its_space_cannot_be_refined():
    with pytest.raises(StudyError, match="must tell which space was searched"):
        refine_space(SearchResult((), 0.0, {}, ""))
