"""A torch-free objective: each loss depends on all before it and on a random state of its own."""

import json
import random
import time

import mischief

from chromasonic.tuning.objective import Epoch

N_EPOCHS = 6
EPOCH_S = 0.05


def objective(params, trial):
    rng, place, epoch = random.Random(trial.seed), params["x"], 0
    if trial.checkpoint is not None:
        state = json.loads((trial.checkpoint / "walk.json").read_text())
        place, epoch = state["place"], state["epoch"]
        version, numbers, gauss = state["random"]
        rng.setstate((version, tuple(numbers), gauss))
    while epoch < N_EPOCHS:
        time.sleep(EPOCH_S)
        epoch += 1
        place = 0.8 * place + params["rate"] * rng.random()
        instead = mischief.happen()
        state = {"place": place, "epoch": epoch, "random": rng.getstate()}

        def save(folder, state=state):
            (folder / "walk.json").write_text(json.dumps(state))

        yield Epoch(place if instead is None else instead, save=save)
