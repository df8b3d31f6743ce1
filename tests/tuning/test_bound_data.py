import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial, wraps

import numpy as np
import pytest
import torch

from chromasonic.any_objective import tune
from chromasonic.errors import StudyMismatch
from chromasonic.tuning.bound_data import bound_data, note_changes

X = {"x": (0.0, 1.0)}


def plain(params):
    return params["x"]


def scaled(params, data, factor=1.0):
    return params["x"] * float(np.sum(data)) * factor


def closure(data):
    def objective(params):
        return params["x"] * float(np.sum(data))

    return objective


def default(data):
    return lambda params, data=data: params["x"] * float(np.sum(data))


def keyword_default(data):
    def objective(params, *, data=data):
        return params["x"] * float(np.sum(data))

    return objective


def wrapped(data):
    @wraps(plain)
    def objective(params):
        return params["x"] * float(np.sum(data))

    return objective


class Instance:
    def __init__(self, data):
        self.data = data
        self.lock = threading.Lock()

    def __call__(self, params):
        return params["x"] * float(np.sum(self.data))

    def method(self, params):
        return self(params)

    def __getstate__(self):
        return {"data": self.data}

    def __setstate__(self, state):
        self.__init__(state["data"])


@dataclass(frozen=True, slots=True)
class Slotted:
    data: object

    def __call__(self, params):
        return params["x"] * float(np.sum(self.data))


BINDINGS = {
    "partial": lambda data: partial(scaled, data=data),
    "partial of a partial": lambda data: partial(partial(scaled, data=data), factor=2.0),
    "closure": closure,
    "closure of a closure": lambda data: closure([closure(data)({"x": 1.0})]),
    "default": default,
    "keyword default": keyword_default,
    "wrapped": wrapped,
    "instance": Instance,
    "method": lambda data: Instance(data).method,
    "slots": Slotted,
    "function within a partial": lambda data: partial(closure(data)),
}
DATA = {
    "list": (lambda: [1.0, 2.0], lambda: [1.0, 2.5]),
    "array": (lambda: np.arange(4.0), lambda: np.arange(1, 5.0)),
    "nested": (lambda: [[1.0], [2.0]], lambda: [[1.0], [3.0]]),
}


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("data", DATA)
def test_the_same_data_make_the_same_objective_and_others_another(binding, data, tmp_path):
    make, (one, other) = BINDINGS[binding], DATA[data]

    def search(objective, n, **options):
        defaults = {"executor": "inline", "seed": 0, "verbose": False, "sampler": "random"}
        options = {**defaults, **options}
        return tune(objective, X, n, output_dir=tmp_path, study_name="one", **options)

    assert len(search(make(one()), 1).trials) == 1
    assert len(search(make(one()), 2).trials) == 2
    with pytest.raises(StudyMismatch, match="another data bound to the objective"):
        search(make(other()), 3)
    assert len(search(make(other()), 3, accept_changed_source=True).trials) == 3


def test_a_function_that_carries_nothing_has_no_data():
    assert bound_data(plain) is None
    assert bound_data(lambda params: 1.0) is None


VALUES = """
import sys
import torch
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
import numpy as np
from chromasonic.tuning.bound_data import bound_data

class Node:
    pass

node = Node()
node.itself = node
node.names = {"b", "a", "c", ("d", 1)}
values = [
    node, {"z": 1, "a": {"x", "y"}}, frozenset("abc"), Path("a/b"), Decimal("0.1"), Fraction(1, 3),
    np.array(["a", None, {"k"}], dtype=object), np.float32(0.5), range(3), 10**5000, b"x",
    np.random.default_rng(), open(sys.executable, "rb"), sys.stdout, np, len, Node, 2j, "a\\udcff",
    torch.arange(3), torch.ones(2, dtype=torch.bfloat16), torch.nn.Linear(0, 2, bias=False),
    torch.utils.data.TensorDataset(torch.ones(3)), torch.Generator(), torch.eye(2).to_sparse(),
]
print(bound_data(partial(len, *values)))
for value in values:
    print(bound_data(partial(len, value)))
"""


def test_hashes_are_the_same_in_every_process_and_differ_between_values():
    hashes = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", VALUES],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.append(done.stdout.splitlines())
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == len(hashes[0]) == 26


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [2, 1]),
        ([1], [True]),
        ([1], [1.0]),
        ([[1], 2], [[1, 2]]),
        ({"a": 1}, {"a": 2}),
        (np.zeros(2), np.zeros((1, 2))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (torch.zeros(2), torch.ones(2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        ("ab", ["a", "b"]),
    ],
)
def test_values_that_are_alike_are_told_apart(one, other):
    assert bound_data(partial(plain, one)) != bound_data(partial(plain, other))


def test_the_order_of_keyword_arguments_does_not_matter():
    assert bound_data(partial(scaled, data=[1], factor=2)) == bound_data(
        partial(scaled, factor=2, data=[1])
    )


class Counting:
    def __init__(self):
        self.calls = []
        self.data = 1.0

    def __call__(self, params):
        self.calls.append(params)
        return params["x"] * self.data


def test_an_objective_that_counts_its_calls_goes_on_until_its_data_are_changed(tmp_path):
    objective = Counting()
    options = {"executor": "inline", "seed": 0, "verbose": False, "output_dir": tmp_path}
    for n in (2, 3, 4):
        assert len(tune(objective, X, n, **options).trials) == n
    assert len(objective.calls) == 4
    objective.data = 2.0
    with pytest.raises(StudyMismatch, match="data bound to the objective"):
        tune(objective, X, 5, **options)


def test_an_objective_that_is_gone_is_forgotten():
    objective = closure([1.0])
    before = bound_data(objective)
    note_changes(objective, before)
    assert bound_data(objective) == before
    del objective
    assert bound_data(closure([2.0])) != before


def test_data_nested_beyond_all_measure_are_no_error():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert bound_data(partial(plain, nested)) == "nested too deeply"
