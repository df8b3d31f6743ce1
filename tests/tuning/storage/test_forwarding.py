import inspect
from unittest.mock import create_autospec

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage, _CachedStorage
from optuna.testing.pytest_storages import StorageTestCase

from chromasonic.tuning.storage.forwarding import ForwardingStorage

PASSED_ON = [*sorted(BaseStorage.__abstractmethods__), "remove_session"]


class Counting(ForwardingStorage):
    """Writes down what goes through it."""

    def __init__(self, storage):
        super().__init__(storage)
        self.passed = []

    def _pass(self, call, /, *args, **kwargs):
        self.passed.append(call)
        return super()._pass(call, *args, **kwargs)


class OnlyFirst(ForwardingStorage):
    """Shows one trial."""

    def get_all_trials(self, study_id, deepcopy=True, states=None):
        return super().get_all_trials(study_id, deepcopy, states)[:1]


class TestOptunasSuite(StorageTestCase):
    @pytest.fixture
    def storage(self):
        return ForwardingStorage(InMemoryStorage())


@pytest.mark.parametrize("name", PASSED_ON)
def test_what_a_storage_must_do_reaches_the_other_one_with_every_argument(name):
    other = create_autospec(BaseStorage, instance=True)
    storage = Counting(other)
    parameters = list(inspect.signature(getattr(BaseStorage, name)).parameters)[1:]
    given = {parameter: object() for parameter in parameters}
    result = getattr(storage, name)(**given)
    (call,) = getattr(other, name).call_args_list
    received = inspect.signature(getattr(other, name)).bind(*call.args, **call.kwargs)
    assert received.arguments == given
    assert storage.passed == [getattr(other, name)]
    if inspect.signature(getattr(BaseStorage, name)).return_annotation != "None":
        assert result is getattr(other, name).return_value


def test_whoever_changes_which_trials_are_read_changes_all_that_is_derived_from_them():
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    for value in (3.0, 1.0, 2.0):
        study.tell(study.ask(), value)
    view = optuna.load_study(storage=OnlyFirst(storage), study_name=study.study_name)
    assert [trial.value for trial in view.trials] == [3.0]
    assert view.best_value == 3.0
    assert view._storage.get_n_trials(view._study_id) == 1
    assert study.best_value == 1.0


def test_a_database_is_asked_through_optunas_cache(tmp_path):
    storage = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    assert isinstance(ForwardingStorage(storage).forwards_to, _CachedStorage)
    storage.engine.dispose()
