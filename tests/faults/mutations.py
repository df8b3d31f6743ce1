"""Random changes of JSON values, as a careless or hostile hand makes them."""

import copy

HOSTILE = [
    *(None, True, False, 0, -1, 1, 10**9, 10**30, 1.5, -0.0, float("nan"), float("inf"), "", "x"),
    *(
        "../../victim",
        "/etc/passwd",
        "\x1b[2J<script>alert(1)</script>",
        "a" * 5000,
        "1e9",
        "😀\u202e",
    ),
    *([], {}, [[]], [None], {"": None}, [1, "a", None], {"a": {"b": {"c": [1]}}}, ["x"] * 300),
]


def paths_of(value, path=()):
    """The paths of all values inside a value, itself included."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from paths_of(item, (*path, key))


def mutated(value, rng):
    """A copy with one to three values replaced, deleted, renamed or doubled."""
    changed = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(paths_of(changed)))
        if not path:
            if rng.random() < 0.1:
                return rng.choice(HOSTILE)
            continue
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        key = path[-1]
        match rng.choice(["replace", "replace", "replace", "delete", "rename", "double"]):
            case "replace":
                parent[key] = copy.deepcopy(rng.choice(HOSTILE))
            case "delete":
                del parent[key]
            case "rename" if isinstance(parent, dict):
                parent[rng.choice(["", "x", "number", "../x", key + "2"])] = parent.pop(key)
            case "double" if isinstance(parent, list):
                parent.insert(0, copy.deepcopy(parent[key]))
    return changed
