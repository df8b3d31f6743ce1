import json
import os
import sys

import pytest
import torch
from torch import nn

from chromasonic.errors import ModelError
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models import MODELS
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.files import load_model, save_model
from chromasonic.melody_generation.trained.model import Network, TrainedModel

RHYTHM = Vocabulary(9, (120, 240))


def trained(names=("lstm",), vocabulary=RHYTHM):
    networks = []
    for name in names:
        kind = OutputKind.LAST_POSITION if name == "sonic" else OutputKind.EVERY_POSITION
        module = build_model(MODELS[name], vocabulary, {"embedding_dim": 6})
        model_class = MODELS[name]
        class_name = f"{model_class.__module__}.{model_class.__qualname__}"
        networks.append(Network(module.eval(), kind, class_name, {"embedding_dim": 6}))
    shares = tuple((i + 1) / sum(range(1, len(names) + 1)) for i in range(len(names)))
    return TrainedModel(tuple(networks), shares, vocabulary, {3: 2, 8: 1}, {"what": "a test"})


@pytest.mark.parametrize(
    "names", [("lstm",), ("sonic",), ("transformer",), ("gru", "rnn", "lstm")], ids="+".join
)
def test_a_model_is_the_same_after_its_folder(tmp_path, names):
    before = trained(names)
    after = load_model(save_model(before, tmp_path / "model", {"README.md": "hello"}))
    tokens = torch.randint(RHYTHM.size, (3, 7))
    for old, new in zip(before.networks, after.networks, strict=True):
        assert torch.equal(old.module(tokens), new.module(tokens))
        assert (old.kind, old.class_name, old.params) == (new.kind, new.class_name, new.params)
    assert after.weights == pytest.approx(before.weights)
    assert (after.vocabulary, after.starts, after.card) == (
        before.vocabulary,
        before.starts,
        before.card,
    )
    assert (tmp_path / "model" / "README.md").read_text() == "hello"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_loading_leaves_the_random_state_as_it_was(tmp_path):
    folder = save_model(trained(), tmp_path / "model")
    before = torch.get_rng_state()
    load_model(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_replaces_the_one_before(tmp_path):
    save_model(trained(("gru", "rnn")), tmp_path / "model")
    save_model(trained(("lstm",)), tmp_path / "model")
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["config.json", "weights.safetensors"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "must contain config.json"),
        (lambda d: (d / "config.json").write_text("{"), "is damaged"),
        (lambda d: (d / "config.json").write_text("[]"), "does not have schema_version 1"),
        (lambda d: (d / "weights.safetensors").unlink(), "is damaged: FileNotFoundError"),
        (lambda d: (d / "weights.safetensors").write_bytes(b"\0" * 9), "is damaged"),
        (lambda d: change(d, "schema_version", 99), "does not have schema_version 1"),
        (lambda d: change(d, "weights", []), "one weight for each network"),
        (lambda d: change(d, "weights", None), "is damaged"),
        (
            lambda d: change(d, "vocabulary", {"n_pitches": 9}),
            "is damaged: Object missing required field `durations`",
        ),
        (lambda d: change(d, "vocabulary", RHYTHM.to_dict() | {"n_pitches": 8}), "is damaged"),
        (lambda d: change(d, "starts", [1]), "is damaged"),
        (lambda d: change_network(d, "class", "nowhere.Model"), "nowhere.Model is not built in"),
        (lambda d: change_network(d, "params", {"num_layers": 10**8}), "do not fit num_layers"),
        (lambda d: change_network(d, "params", {"hidden_size": 10**5}), "is damaged"),
        (lambda d: change(d, "vocabulary", RHYTHM.to_dict() | {"n_pitches": 10**9}), "is damaged"),
        (lambda d: replace_by_pipe(d / "weights.safetensors"), "is not a regular file"),
        (lambda d: replace_by_pipe(d / "config.json"), "is not a regular file"),
        (lambda d: change_network(d, "predicts", "the future"), "is damaged: ValueError"),
        (lambda d: change_network(d, "params", {"depth": 3}), "got depth"),
        (lambda d: change_network(d, "file", "../../elsewhere"), "is damaged"),
    ],
)
def test_a_damaged_folder_is_told_in_one_line(tmp_path, damage, message):
    folder = save_model(trained(), tmp_path / "model")
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def replace_by_pipe(file):
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("name", ["os.system", "pathlib.Path"])
def test_a_class_that_is_no_model_is_refused_however_trusted(tmp_path, name):
    folder = save_model(trained(), tmp_path / "model")
    change_network(folder, "class", name)
    with pytest.raises(ModelError, match=r"must be a torch\.nn\.Module"):
        load_model(folder, trust_code=True)


def test_a_strangers_class_is_imported_only_if_the_user_says_so(tmp_path, monkeypatch):
    (tmp_path / "strangers.py").write_text(
        "from pathlib import Path\n"
        "from chromasonic import LSTMMelodyModel\n"
        "Path(__file__).with_name('ran').touch()\n"
        "class Net(LSTMMelodyModel): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = save_model(trained(), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    # A signature is that of one name, not of the folder.
    config["networks"][0]["class"] = "strangers.Net"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"strangers\.Net is not built in.*give --trust-code"):
        load_model(folder)
    assert not (tmp_path / "ran").exists()
    assert load_model(folder, trust_code=True).networks[0].class_name == "strangers.Net"


def change(folder, key, value):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))


def change_network(folder, key, value):
    config = json.loads((folder / "config.json").read_text())
    config["networks"][0][key] = value
    (folder / "config.json").write_text(json.dumps(config))


def test_pickled_weights_are_not_unpickled(tmp_path):
    """A malicious pickle is only found not to be safetensors."""
    folder = save_model(trained(), tmp_path / "model")

    class Bomb:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w').close()",)

    torch.save(Bomb(), folder / "weights.safetensors")
    with pytest.raises(ModelError, match="is damaged"):
        load_model(folder)
    assert not (tmp_path / "ran").exists()


def test_a_model_of_ones_own_is_found_by_name_or_given(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(
        "from torch import nn\n"
        "class Mine(nn.Module):\n"
        "    def __init__(self, vocab_size):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Embedding(vocab_size, vocab_size)\n"
        "    def forward(self, tokens):\n"
        "        return self.layer(tokens)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from my_models import Mine

    module = Mine(9).eval()
    kind = OutputKind.EVERY_POSITION
    model = TrainedModel((Network(module, kind, "my_models.Mine", {}),), (1.0,), Vocabulary(9))
    folder = save_model(model, tmp_path / "model")
    tokens = torch.arange(9)[None]
    assert torch.equal(load_model(folder).networks[0].module(tokens), module(tokens))

    class Other(nn.Module):
        def __init__(self, vocab_size):
            super().__init__()
            self.layer = nn.Embedding(vocab_size, vocab_size)

    monkeypatch.setitem(sys.modules, "my_models", None)
    with pytest.raises(ModelError, match=r"my_models.Mine is not.*pass the class as model_class"):
        load_model(folder)
    assert isinstance(load_model(folder, Other).networks[0].module, Other)
