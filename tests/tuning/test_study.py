import optuna
import pytest
from optuna.storages import InMemoryStorage

from chromasonic.errors import StudyMismatch
from chromasonic.tuning.study import (
    PREFIX,
    Fingerprint,
    attribute,
    identity,
    newest_name,
    open_study,
    set_attribute,
    settle_seed,
)

PARTS = {
    "space": {"x": {"low": 0.0}, "y": {"low": 1.0}},
    "data": "0" * 64,
    "vocabulary": 88,
    "model source": "abc",
}


def fingerprint(**changes):
    changes = {name.replace("_", " "): value for name, value in changes.items()}
    return Fingerprint(
        {**PARTS, **changes}, frozenset({"model source"}), ", or accept it with --accept"
    )


@pytest.fixture
def storage():
    return InMemoryStorage()


def test_a_study_is_made_once_and_continued(storage):
    first = open_study(storage, "mine", fingerprint())
    first.tell(first.ask(), 1.0)
    again = open_study(storage, "mine", fingerprint())
    assert len(again.trials) == 1
    assert again.direction.name == "MINIMIZE"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"vocabulary": 12}, r"another vocabulary \(then 88, now 12\)\."),
        ({"data": "1" * 64}, r"another data\."),
        ({"space": {"x": {"low": 0.5}, "z": {"low": 1.0}}}, r"another space \(x, y, z\)\."),
        ({"new": 1}, r"another new \(then None, now 1\)\."),
        ({"model_source": "xyz"}, r"another model source \(then abc, now xyz\)\."),
        (
            {"vocabulary": 12, "data": "1"},
            r"another data; vocabulary \(then 88, now 12\)\.",
        ),
    ],
)
def test_what_differs_is_refused_and_named(storage, changes, named):
    open_study(storage, "mine", fingerprint())
    with pytest.raises(StudyMismatch, match=f"the study 'mine' was started with {named}"):
        open_study(storage, "mine", fingerprint(**changes))
    assert dict(attribute(open_study(storage, "mine", fingerprint()), "fingerprint")) == PARTS


def test_what_is_no_longer_asked_for_differs_too(storage):
    open_study(storage, "mine", fingerprint(extra=1))
    with pytest.raises(StudyMismatch, match=r"another extra \(then 1, now None\)"):
        open_study(storage, "mine", fingerprint())


def test_only_what_may_change_has_the_hint_how_to_accept_it(storage):
    open_study(storage, "mine", fingerprint())
    with pytest.raises(StudyMismatch, match=r"output directory, or accept it with --accept\.$"):
        open_study(storage, "mine", fingerprint(model_source="xyz"))
    with pytest.raises(StudyMismatch, match=r"output directory\.$"):
        open_study(storage, "mine", fingerprint(model_source="xyz", vocabulary=12))


def test_an_accepted_change_is_what_the_study_is_of_from_then_on(storage):
    open_study(storage, "mine", fingerprint())
    open_study(storage, "mine", fingerprint(model_source="xyz"), accept_changes=True)
    open_study(storage, "mine", fingerprint(model_source="xyz"))
    with pytest.raises(StudyMismatch, match="model source"):
        open_study(storage, "mine", fingerprint())


def test_a_change_of_anything_else_cannot_be_accepted(storage):
    open_study(storage, "mine", fingerprint())
    changed = fingerprint(model_source="xyz", vocabulary=12)
    with pytest.raises(StudyMismatch, match=r"another vocabulary .*; model source"):
        open_study(storage, "mine", changed, accept_changes=True)


def test_tuples_are_the_lists_that_json_makes_of_them(storage):
    open_study(storage, "mine", fingerprint(space={"x": (1, 2)}))
    open_study(storage, "mine", fingerprint(space={"x": [1, 2]}))


def test_a_fresh_study_stands_beside_the_old_one(storage):
    names = [
        open_study(storage, "mine", fingerprint(vocabulary=number), fresh=True).study_name
        for number in range(11)
    ]
    assert names == ["mine", *(f"mine~{number}" for number in range(2, 12))]
    newest = open_study(storage, "mine", fingerprint(vocabulary=10))
    assert newest.study_name == "mine~11"


def test_a_name_that_only_looks_like_a_generation_is_another_study(storage):
    open_study(storage, "mine~small", fingerprint())
    assert newest_name(storage, "mine") is None
    open_study(storage, "mine", fingerprint())
    assert newest_name(storage, "mine") == "mine"
    assert newest_name(storage, "mine~small") == "mine~small"
    assert newest_name(storage, "min.") is None


def test_a_study_that_optuna_made_is_refused(storage):
    study = optuna.create_study(storage=storage, study_name="mine")
    study.tell(study.ask(), 1.0)
    with pytest.raises(StudyMismatch, match="was not made by chromasonic"):
        open_study(storage, "mine", fingerprint())


def test_a_study_whose_maker_died_before_it_was_signed_can_be_used(storage):
    optuna.create_study(storage=storage, study_name="mine")
    open_study(storage, "mine", fingerprint())
    with pytest.raises(StudyMismatch, match="vocabulary"):
        open_study(storage, "mine", fingerprint(vocabulary=12))


def test_a_seed_is_kept_or_drawn_once(storage):
    study = open_study(storage, "mine", fingerprint())
    drawn = settle_seed(study, None)
    assert 0 <= drawn < 2**31
    assert settle_seed(study, None) == settle_seed(study, drawn) == drawn
    assert settle_seed(open_study(storage, "given", fingerprint()), 0) == 0


def test_another_seed_for_the_same_study_is_refused(storage):
    study = open_study(storage, "mine", fingerprint())
    settle_seed(study, 0)
    with pytest.raises(StudyMismatch, match="was started with seed 0, but got 1"):
        settle_seed(study, 1)


def test_drawn_seeds_differ_from_study_to_study(storage):
    seeds = {settle_seed(open_study(storage, f"s{n}", fingerprint()), None) for n in range(20)}
    assert len(seeds) == 20


def test_every_study_has_an_identity_of_its_own_that_stays(storage):
    first = open_study(storage, "mine", fingerprint())
    second = open_study(storage, "mine", fingerprint(), fresh=True)
    elsewhere = open_study(InMemoryStorage(), "mine", fingerprint())
    assert len({identity(study) for study in (first, second, elsewhere)}) == 3
    assert identity(optuna.load_study(storage=storage, study_name="mine")) == identity(first)


def test_attributes_stand_under_a_prefix_of_their_own(storage):
    study = open_study(storage, "mine", fingerprint())
    set_attribute(study, "answer", [42])
    assert study.user_attrs["chromasonic:answer"] == [42]
    assert PREFIX == "chromasonic:"
    assert attribute(study, "answer") == [42]
    assert attribute(study, "question", "none") == "none"
