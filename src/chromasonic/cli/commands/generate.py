"""`chromasonic generate`: melodies from a trained model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chromasonic.cli._exits import errors_in_one_line, require_extra
from chromasonic.cli._options import Debug, Device, TrustCode
from chromasonic.errors import plain_text

if TYPE_CHECKING:
    from chromasonic.melody_generation.listening.generation import Melody
    from chromasonic.melody_generation.trained.model import TrainedModel


def generate(
    model: Annotated[Path, typer.Argument(help="The folder of a trained model or ensemble.")],
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="How many melodies.")] = 8,
    length: Annotated[int, typer.Option(min=2, help="Notes of each.")] = 100,
    temperature: Annotated[
        float, typer.Option(min=0.001, help="Above 1 dares more, below 1 less.")
    ] = 1.0,
    top_p: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Draw from the likeliest notes only.")
    ] = 0.95,
    key: Annotated[str | None, typer.Option(help="Such as D, Bb or F#m; default: any.")] = None,
    seed_tune: Annotated[
        Path | None, typer.Option(help="A file whose first tune all melodies continue.")
    ] = None,
    seed_notes: Annotated[int, typer.Option(min=1, help="How many of its notes.")] = 16,
    output_dir: Annotated[Path, typer.Option(help="Where they go.")] = Path("melodies"),
    tempo: Annotated[
        float, typer.Option(min=10, max=1000, help="Quarter notes a minute.")
    ] = 120.0,
    program: Annotated[int, typer.Option(min=0, max=127, help="MIDI instrument.")] = 0,
    soundfont: Annotated[
        Path | None, typer.Option(help="Your .sf2 file to play them; default: a built-in tone.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    device: Device = "cpu",
    trust_code: TrustCode = False,
    debug: Debug = False,
) -> None:
    """Generate melodies as MIDI and sound, with a picture and measures beside people's tunes."""
    with errors_in_one_line(debug):
        require_extra("torch", "melody")
        from chromasonic.melody_generation.listening.export import Playback, write_melodies
        from chromasonic.melody_generation.listening.generation import generate as draw
        from chromasonic.melody_generation.trained.files import load_model
        from chromasonic.melody_generation.training.devices import choose_device

        trained = load_model(model, device=choose_device(device), trust_code=trust_code)
        begun = None if seed_tune is None else _first_tune(seed_tune)
        melodies = draw(
            trained,
            n,
            length=length,
            temperature=temperature,
            top_p=top_p,
            key=key,
            seed_tune=begun,
            seed_notes=seed_notes,
            seed=seed,
        )
        playback = Playback(tempo, program, soundfont)
        described = {
            "model": str(model),
            "length": length,
            "temperature": temperature,
            "top_p": top_p,
            "key": key,
            "seed_tune": seed_tune and str(seed_tune),
            "seed_notes": seed_notes,
            "seed": seed,
            "tempo": tempo,
            "program": program,
            "soundfont": soundfont and str(soundfont),
        }
        files = write_melodies(melodies, output_dir, playback, described)
        for file in files:
            typer.echo(f"Melody: {file}")
        _draw(melodies, output_dir)
        _compare(melodies, trained, output_dir)


def _first_tune(file: Path) -> "Melody":
    from chromasonic.melody_generation.data import decode_pitches, load_tunes
    from chromasonic.melody_generation.listening.generation import Melody

    tunes = load_tunes(file, min_notes=2)
    return Melody(decode_pitches(tunes.pitches[0]), tunes.durations[0])


def _draw(melodies: "list[Melody]", folder: Path) -> None:
    from chromasonic.errors import MissingExtra
    from chromasonic.melody_generation.listening.export import draw_melodies

    try:
        typer.echo(f"Picture: {draw_melodies(melodies, folder)}")
    except MissingExtra as error:
        typer.echo(f"No picture: {error}")


def _compare(melodies: "list[Melody]", model: "TrainedModel", folder: Path) -> None:
    """Prints measures beside people's, where the model knows people's tunes."""
    from chromasonic.errors import DataError
    from chromasonic.melody_generation.listening.export import (
        compare_with_held_out,
        write_comparison,
    )

    data = model.card.get("data", {})
    if "source" not in data:
        typer.echo("No measures beside people's tunes: the model does not tell where its own are.")
        return
    try:
        comparison = compare_with_held_out(melodies, data, model.vocabulary)
    except DataError as error:
        typer.echo(f"No measures beside people's tunes: {error}")
        return
    for line in write_comparison(comparison, folder):
        typer.echo(plain_text(line))
