"""Model card of a trained model, in Markdown."""

from collections.abc import Mapping
from typing import Any

from chromasonic.errors import plain_text
from chromasonic.melody_generation.trained.model import TrainedModel
from chromasonic.plural import counted

CARD_FILE = "MODEL_CARD.md"


def model_card(model: TrainedModel) -> str:
    """The model's card in Markdown: architecture, data, test scores, training and usage."""
    card = model.card
    sections = [
        ["# " + ("An ensemble of melody models" if model.is_ensemble else "A melody model")],
        _architecture(model),
        ["## Data", *_data(card["data"])],
        ["## Test", *_test(card["test"])],
    ]
    if model.is_ensemble:
        sections.append(["## Members", *_members(card)])
    else:
        sections.append(["## Training", *_training(card)])
    sections.append(["## Use", *_USE])
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


_USE = [
    "```python",
    "from chromasonic import generate, load_model",
    "",
    'model = load_model("this/folder")',
    "melodies = generate(model, n=8, seed=1)",
    "```",
    "",
    "or `chromasonic generate this/folder -n 8`. It predicts one line of melody, note by note; it "
    "knows neither rests nor where a tune ends, and its long-range form is weaker than that of "
    "human-composed tunes.",
]


def _architecture(model: TrainedModel) -> list[str]:
    names = sorted({network.class_name for network in model.networks})
    vocabulary = model.vocabulary
    note = (
        f"its duration (one of {len(vocabulary.durations)}) and its pitch given that"
        if vocabulary.durations
        else "its pitch"
    )
    return [
        f"- Model: {', '.join(map(_code, names))}, {model.n_parameters:,} parameters",
        f"- Predicts of each note {note}, out of {vocabulary.n_pitches} pitches",
        "- Made by chromasonic",
    ]


def _data(data: Mapping[str, Any]) -> list[str]:
    source = data.get("source", "given in Python")
    lines = [f"- Source: {_code(source)}"]
    for part in ("train", "validation"):
        size = data[part]
        melodies = counted(size["melodies"], "melody", "melodies")
        lines.append(f"- {part.title()}: {melodies}, {counted(size['notes'], 'note')}")
    return [*lines, f"- SHA-256 of both: {_code(data['sha256'])}"]


def _test(test: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{counted(test['melodies'], 'melody', 'melodies')} with "
        f"{counted(test['notes'], 'scored note')}, not used for any choice, scored once. "
        "Nats per note with 95% intervals over tunes; lower is better.",
        "",
        "| | loss |",
        "| --- | --- |",
        f"| this model | {_interval(test['loss'])} |",
    ]
    if len(test["factors"]) > 1:
        lines += [f"| its {name} | {loss:.4f} |" for name, loss in test["factors"].items()]
    lines += [
        f"| best n-gram ({test['ngram']}) | {test['ngram_loss']:.4f} |",
        f"| this model minus the n-gram | {_interval(test['minus_ngram'], '+')} |",
    ]
    if "minus_best_member" in test:
        lines += [
            f"| best member | {test['best_member_loss']:.4f} |",
            f"| this model minus the best member | {_interval(test['minus_best_member'], '+')} |",
        ]
    return lines


def _training(card: Mapping[str, Any]) -> list[str]:
    tied = ", ".join(map(str, card["ties"]))
    lines = [
        f"- Settings of trial {card['trial']} of the search {_code(card['search']['study_name'])}"
        + (f", which ties with trial {tied}" if tied else ""),
        f"- Trained on training and validation melodies for {counted(card['epochs'], 'epoch')}, "
        f"on a schedule of {card['num_epochs']}",
    ]
    return [
        *lines,
        *(f"- {_code(name)}: {value}" for name, value in card["training_params"].items()),
    ]


def _members(card: Mapping[str, Any]) -> list[str]:
    return [
        "| trial | seed | weight | validation loss |",
        "| --- | --- | --- | --- |",
        *(
            f"| {m['trial']} | {m['repeat']} | {m['weight']:.3f} | {m['val_loss']:.4f} |"
            for m in card["members"]
        ),
    ]


def _code(text: object) -> str:
    """Text of others as code, in which Markdown finds no markup."""
    return f"`{plain_text(' '.join(str(text).split())).replace('`', chr(39))}`"


def _interval(interval: Mapping[str, float], sign: str = "") -> str:
    spec = f"{sign}.4f"
    estimate, low, high = (interval[key] for key in ("estimate", "low", "high"))
    return f"{estimate:{spec}} ({low:{spec}} to {high:{spec}})"
