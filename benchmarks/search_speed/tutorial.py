"""The way tutorials search: sliding windows of 16 notes in a DataLoader, one target each.

A competent one: AdamW, clipping, early stopping, no gradient while scoring, large batches there.
Its windows are filled up at the beginning of a tune, so that it learns from, and is scored on,
the same notes as the other.
"""

import time
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import optuna
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

WINDOW = 16
PATIENCE = 5


def windows(tunes: list[np.ndarray]) -> TensorDataset:
    """Every note but the first of each tune, with the 16 before it."""
    inputs, targets = [], []
    for tune in tunes:
        padded = np.concatenate([np.full(WINDOW - 1, tune[0]), tune])
        for end in range(WINDOW, len(padded)):
            inputs.append(padded[end - WINDOW : end])
            targets.append(padded[end])
    return TensorDataset(torch.tensor(np.array(inputs)), torch.tensor(np.array(targets)))


def validation_loss(model: nn.Module, loader: DataLoader) -> float:
    """Mean nats per note."""
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            total += cross_entropy(model(x)[:, -1], y, reduction="sum").item()
            count += len(y)
    return total / count


def search(
    train_tunes: list[np.ndarray],
    validation_tunes: list[np.ndarray],
    build: Callable[[optuna.Trial], nn.Module],
    learning_rate: tuple[float, float],
    *,
    batch_size: int,
    n_trials: int,
    num_epochs: int,
    seed: int,
) -> list[dict[str, float]]:
    """Wall and CPU seconds since the start and validation loss, for every epoch."""
    torch.manual_seed(seed)
    wall, cpu = time.monotonic(), time.process_time()
    train_set, validation_set = windows(train_tunes), windows(validation_tunes)
    validation_loader = DataLoader(validation_set, batch_size=1024)
    history: list[dict[str, float]] = []

    def objective(trial: optuna.Trial) -> float:
        model = build(trial)
        lr = trial.suggest_float("learning_rate", *learning_rate, log=True)
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        loader = DataLoader(train_set, batch_size=batch_size, shuffle=True)
        best, best_weights, since_best = float("inf"), None, 0
        for epoch in range(num_epochs):
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                cross_entropy(model(x)[:, -1], y).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            loss = validation_loss(model, validation_loader)
            history.append(
                {
                    "wall_s": time.monotonic() - wall,
                    "cpu_s": time.process_time() - cpu,
                    "loss": loss,
                }
            )
            since_best += 1
            if loss < best:
                best, best_weights, since_best = loss, deepcopy(model.state_dict()), 0
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
            if since_best >= PATIENCE:
                break
        assert best_weights is not None
        return best

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner()
    )
    study.optimize(objective, n_trials=n_trials)
    return history
