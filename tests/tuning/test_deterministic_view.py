import random

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from chromasonic.tuning._deterministic_view import VisibleStorage, VisibleStudy
from chromasonic.tuning.study import PREFIX

N_TRIALS = 12


def random_trial(rng):
    state = rng.choice(list(TrialState))
    return create_trial(
        state=state,
        value=rng.random() if state is TrialState.COMPLETE else None,
        params={"x": rng.random()},
        distributions={"x": FloatDistribution(0.0, 1.0)},
        intermediate_values={step: rng.random() for step in range(rng.randrange(1, 4))},
        user_attrs={f"{PREFIX}params": {"x": 0.5}, f"{PREFIX}ending": "completed"},
        system_attrs={"completed_rung_0": 0.5, "grid_id": 3, "search_space": {"x": [0.0]}},
    )


@pytest.fixture
def study():
    rng = random.Random(0)
    study = optuna.create_study(storage=InMemoryStorage())
    study.add_trials([random_trial(rng) for _ in range(N_TRIALS)])
    return study


def expected_states(study, number, slots):
    """State by number of what trial `number` may see, one by one."""
    found = {}
    for trial in study.trials:
        if trial.number <= number - slots or trial.number == number:
            found[trial.number] = trial.state
        elif trial.number < number:
            found[trial.number] = TrialState.RUNNING
    return found


@pytest.mark.parametrize("slots", [1, 2, 3, 20])
def test_a_trial_sees_early_ones_as_they_are_and_late_ones_as_running(study, slots):
    view = VisibleStorage(study._storage, slots)
    for number in range(N_TRIALS + 1):
        view.number = number
        seen = view.get_all_trials(study._study_id)
        assert {t.number: t.state for t in seen} == expected_states(study, number, slots)
        for trial in seen:
            if trial.number <= number - slots or trial.number == number:
                assert trial == study.trials[trial.number]


def test_trials_that_were_given_are_known_to_all_that_begin(study):
    view = VisibleStorage(study._storage, slots=5, n_given=4)
    for number in range(4, N_TRIALS + 1):
        view.number = number
        n_known = max(4, number - 4)
        seen = view.get_all_trials(study._study_id)
        assert seen[:n_known] == study.trials[:n_known]
        between = seen[n_known:number]
        assert {trial.state for trial in between} <= {TrialState.RUNNING}


def test_of_a_late_trial_nothing_is_seen_but_what_was_proposed(study):
    view = VisibleStorage(study._storage, 4)
    view.number = 6
    for late in view.get_all_trials(study._study_id)[3:6]:
        real = study.trials[late.number]
        assert (late._trial_id, late.params) == (real._trial_id, real.params)
        assert late.distributions == real.distributions
        assert (late.values, late.intermediate_values, late.datetime_complete) == (None, {}, None)
        assert late.user_attrs == {f"{PREFIX}params": {"x": 0.5}}
        assert late.system_attrs == {"grid_id": 3, "search_space": {"x": [0.0]}}


@pytest.mark.parametrize("deepcopy", [True, False])
@pytest.mark.parametrize("states", [None, (), *((state,) for state in TrialState)])
def test_trials_are_chosen_by_the_state_that_is_seen(study, states, deepcopy):
    view = VisibleStorage(study._storage, 3)
    for number in range(N_TRIALS + 1):
        view.number = number
        seen = view.get_all_trials(study._study_id, deepcopy=deepcopy, states=states)
        expected = [
            late
            for late, state in expected_states(study, number, 3).items()
            if states is None or state in states
        ]
        assert [trial.number for trial in seen] == expected


def test_what_is_seen_may_be_changed_without_harm(study):
    before = [content_of(trial) for trial in study.trials]
    view = VisibleStorage(study._storage, 3)
    view.number = N_TRIALS
    for trial in view.get_all_trials(study._study_id):
        trial.params["x"] = 99.0
        trial.user_attrs.clear()
        trial.intermediate_values[0] = 99.0
    assert [content_of(trial) for trial in study.trials] == before


def content_of(trial):
    return (trial.state, dict(trial.params), dict(trial.user_attrs), trial.intermediate_values)


def test_with_one_slot_all_before_is_seen_as_it_is(study):
    seen = VisibleStudy(study, 1).seen_by(7).trials
    assert seen == study.trials[:8]


def test_what_is_derived_from_trials_obeys_the_view(study):
    view = VisibleStudy(study, 3)
    for number in range(4, N_TRIALS):
        complete = [t for t in study.trials[: number - 2] if t.state is TrialState.COMPLETE] + [
            t for t in study.trials[number : number + 1] if t.state is TrialState.COMPLETE
        ]
        if complete:
            best = min(complete, key=lambda trial: trial.value)
            assert view.seen_by(number).best_trial.number == best.number


def test_without_a_number_of_slots_everything_is_seen_as_it_stands(study):
    assert VisibleStudy(study, None).seen_by(2) is study


@pytest.mark.parametrize("slots", [None, 1, 2])
def test_what_has_ended_since_is_seen_by_samplers_that_read_trials_once(slots):
    """TPE asks the study for trials that it has kept; these must not be old ones."""
    study = optuna.create_study(sampler=TPESampler(seed=0))
    view, seen = VisibleStudy(study, slots), []
    for number in range(4):
        trial_id = study._storage.create_new_trial(study._study_id)
        kept = view.seen_by(number)._get_trials(
            deepcopy=False, states=(TrialState.COMPLETE,), use_cache=True
        )
        seen.append(len(kept))
        study._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert seen == {None: [0, 1, 2, 3], 1: [0, 1, 2, 3], 2: [0, 0, 1, 2]}[slots]
