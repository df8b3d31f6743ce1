"""Files that somebody has changed: each is read, or refused in one clear line."""

import json
import os
import sqlite3
import sys
import traceback
from contextlib import closing
from pathlib import Path

import pytest
import torch

from chromasonic import Categorical, Float, Integer, Space, load_model, load_result, tune
from chromasonic.bayesopt import read_space, space_to_toml
from chromasonic.errors import ChromasonicError
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.files import save_model
from chromasonic.melody_generation.trained.model import Network, TrainedModel
from chromasonic.reporting.result_files import write_result_files
from chromasonic.tuning.objective import Epoch
from chromasonic.tuning.refinement import refine_space

sys.path.insert(0, str(Path(__file__).parent))

from mutations import HOSTILE, mutated

N = 400
SPACE = Space(
    {
        "rate": Float(1e-4, 1.0, log=True),
        "width": Integer(1, 64),
        "kind": Categorical(["a", "b"]),
        "depth": Integer(1, 3, when={"kind": ["b"]}),
    }
)


def falling(params, trial):
    def save(folder):
        (folder / "state").touch()

    for epoch in range(1, 4):
        yield Epoch(params["rate"] + params["width"] / epoch, metrics={"n": epoch}, save=save)


def search(folder, n_trials):
    options = {"executor": "inline", "sampler": "random", "seed": 1, "verbose": False}
    return tune(falling, SPACE, n_trials, output_dir=folder, study_name="mine", **options)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    search(folder, 16)
    return folder


@pytest.fixture
def watched(tmp_path, searched):
    """The folder that may be written; whatever is written, deleted or run elsewhere is noted."""
    allowed = (str(tmp_path), os.environ["XDG_DATA_HOME"], "/dev/null", "/proc/")
    outside = []

    def is_outside(path, folder=-1):
        if folder >= 0:
            path = str(Path(f"/proc/self/fd/{folder}").readlink() / path)
        return not str(path).startswith(allowed)

    def watch(event, arguments):
        if not watch.on:
            return
        if event == "open" and isinstance(arguments[0], str):
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (flags or 0) & 3
            if writes and is_outside(path):
                outside.append((event, path))
        elif event in ("os.remove", "os.rmdir", "os.mkdir"):
            # To make a folder that is there already does nothing.
            is_there = event == "os.mkdir" and Path(arguments[0]).is_dir()
            if not is_there and is_outside(arguments[0], arguments[-1]):
                outside.append((event, arguments))
        elif event == "os.rename":
            if is_outside(arguments[0], arguments[2]) or is_outside(arguments[1], arguments[3]):
                outside.append((event, arguments))
        elif event in ("subprocess.Popen", "os.system", "os.exec", "pickle.find_class"):
            outside.append((event, arguments))

    watch.on = True
    sys.addaudithook(watch)
    yield tmp_path
    watch.on = False
    assert outside == []


def require_read_or_refused(read, what):
    """Fails unless it succeeds, or says in one line why not."""
    refused = None
    try:
        read()
    except (ChromasonicError, OSError) as error:
        refused = str(error)
    except Exception:  # noqa: BLE001 - any other error is a fault
        pytest.fail(f"{what}\n{traceback.format_exc()}")
    assert refused is None or (refused.strip() and "\n" not in refused), what


@pytest.mark.slow
def test_a_changed_results_file_is_read_or_refused(searched, watched, random_moments):
    original = json.loads((searched / "optimization_results.json").read_text())
    file = watched / "optimization_results.json"
    for _ in range(2 * N):
        changed = mutated(original, random_moments)
        file.write_text(json.dumps(changed))

        def read():
            result = load_result(file)
            write_result_files(result, watched / "again", in_full=False)
            refine_space(result)

        require_read_or_refused(read, difference(original, changed))


@pytest.mark.slow
def test_a_changed_study_is_read_or_refused(searched, watched, random_moments):
    table = random_moments.choice
    for number in range(N // 4):
        folder = watched / str(number)
        folder.mkdir()
        source = sqlite3.connect(searched / "study.db")
        with closing(source), closing(sqlite3.connect(folder / "study.db")) as database:
            source.backup(database)
            name = table(["study_user_attributes", "trial_user_attributes"])
            rows = database.execute(f"SELECT rowid, key, value_json FROM {name}").fetchall()
            rowid, key, value = random_moments.choice(rows)
            changed = mutated(json.loads(value), random_moments)
            database.execute(
                f"UPDATE {name} SET value_json = ? WHERE rowid = ?", (json.dumps(changed), rowid)
            )
            database.commit()
        what = f"{key}: {value[:80]} became {changed!r:.200}"

        def read(folder=folder):
            write_result_files(load_result(folder), folder / "again", in_full=False)

        require_read_or_refused(read, what)
        require_read_or_refused(lambda folder=folder: search(folder, 17), what)


@pytest.mark.slow
def test_a_changed_model_folder_is_read_or_refused(watched, random_moments):
    module = LSTMMelodyModel(9, embedding_dim=4, hidden_size=6).eval()
    params = {"embedding_dim": 4, "hidden_size": 6}
    name = "chromasonic.melody_generation.models.recurrent.LSTMMelodyModel"
    network = Network(module, OutputKind.EVERY_POSITION, name, params)
    folder = save_model(
        TrainedModel((network,), (1.0,), Vocabulary(9), {1: 2}, {"data": {}}), watched / "model"
    )
    original = json.loads((folder / "config.json").read_text())
    for _ in range(N):
        changed = mutated(original, random_moments)
        (folder / "config.json").write_text(json.dumps(changed))
        require_read_or_refused(
            lambda: load_model(folder).networks[0].module(torch.zeros(1, 3, dtype=torch.long)),
            difference(original, changed),
        )


@pytest.mark.slow
def test_a_changed_winner_is_read_or_refused(searched, watched, random_moments):
    interval = {"estimate": 0.1, "low": 0.0, "high": 0.2}
    candidate = {"trial": 1, "search_loss": 1.0, "losses": [1.0, 1.1], "behind": interval}
    original = {"trial": 0, "ties": [1], "params": {}, "best_epoch": 3, "n_trials": 16}
    original["candidates"] = [{**candidate, "trial": 0, "behind": None}, candidate]
    result = load_result(searched)
    for _ in range(N):
        changed = mutated(original, random_moments)
        (watched / "winner.json").write_text(json.dumps(changed))
        require_read_or_refused(
            lambda: write_result_files(result, watched, in_full=False),
            difference(original, changed),
        )


@pytest.mark.slow
def test_a_changed_checkpoint_is_continued_or_left_out(watched, random_moments):
    original = [{"epoch": e, "loss": 1.0 / e, "train_loss": None, "seconds": 0.1} for e in (1, 2)]
    for number in range(N // 10):
        folder = watched / str(number)
        search(folder, 1)
        identity = load_result(folder).identity
        checkpoint = folder / "checkpoints" / "1" / identity / "epoch-2"
        checkpoint.mkdir(parents=True)
        changed = mutated(original, random_moments)
        (checkpoint / "epochs.json").write_text(json.dumps(changed))
        (checkpoint.parent / "epoch-2.bak").mkdir()
        require_read_or_refused(
            lambda folder=folder: search(folder, 2), difference(original, changed)
        )


@pytest.mark.slow
def test_a_changed_space_is_read_or_refused(watched, random_moments):
    original = space_to_toml(SPACE)
    for _ in range(N):
        text = list(original)
        for _ in range(random_moments.randint(1, 6)):
            at = random_moments.randrange(len(text))
            match random_moments.choice(["replace", "delete", "insert"]):
                case "replace":
                    text[at] = random_moments.choice('0123456789.-"[]{}=,\n\x00é')
                case "delete":
                    text[at] = ""
                case "insert":
                    text[at] += str(random_moments.choice(HOSTILE))[:50]
        (watched / "space.toml").write_text("".join(text))
        require_read_or_refused(lambda: read_space(watched / "space.toml"), "".join(text))


def difference(original, changed):
    """Both as JSON, from shortly before their first difference."""
    texts = json.dumps(original), json.dumps(changed)
    same = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), 0)
    before, after = (text[max(0, same - 100) : same + 200] for text in texts)
    return f"{before}\nbecame\n{after}"
