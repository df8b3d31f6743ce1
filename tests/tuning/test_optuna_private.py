import re
from pathlib import Path

import optuna
from optuna.storages import InMemoryStorage, RDBStorage, get_storage

from chromasonic.tuning import _optuna_private as optuna_private
from chromasonic.tuning._optuna_private import (
    drop_cached_trials,
    storage_of,
    study_id_of,
    trial_id_of,
    without_cache,
)

PRIVATE = re.compile(
    r"study\._(?!_)|(?<!self)\._study_id|\._trial_id|trial\._|_thread_local|optuna(\.\w+)*\._"
    r"|from optuna\S* import .*\b_\w"
)


def test_a_study_and_its_trials_are_found_in_their_storage():
    storage = InMemoryStorage()
    optuna.create_study(storage=storage)
    study = optuna.create_study(storage=storage)
    study.ask()
    (trial,) = study.get_trials()
    assert storage_of(study) is storage
    assert storage.get_study_name_from_id(study_id_of(study)) == study.study_name
    assert storage.get_trial(trial_id_of(trial)) == trial


def test_a_database_is_found_behind_optunas_cache(tmp_path):
    database = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    assert get_storage(database) is not database
    assert without_cache(get_storage(database)) is database
    assert without_cache(InMemoryStorage()).get_all_studies() == []
    database.engine.dispose()


def test_trials_that_a_study_has_read_are_read_again(tmp_path):
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="mine")
    trial = study.ask()
    assert study._get_trials(use_cache=True)[0].user_attrs == {}
    optuna.load_study(storage=storage, study_name="mine").tell(trial, 1.0)
    drop_cached_trials(study)
    assert study._get_trials(use_cache=True)[0].value == 1.0


def test_no_other_file_uses_a_private_name_of_optuna():
    package = Path(optuna_private.__file__).parents[1]
    offenders = [
        f"{file.name}:{number}: {line}"
        for file in sorted(package.rglob("*.py"))
        if file.name != "_optuna_private.py" and "optuna" in (text := file.read_text("utf-8"))
        for number, line in enumerate(text.splitlines(), start=1)
        if PRIVATE.search(line)
    ]
    assert offenders == []
