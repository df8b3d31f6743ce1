"""Sound files of every kind that `load_tunes` reads, made from a generator of random numbers."""

import io
import random
import zipfile

import mido

TRACKS, NOTES_A_TRACK = 2, 150
ABC_NOTES = ["A", "B,", "c'", "^d", "_E2", "=F/", "G3/2", "z", "[CEG]2", "{g}a", "A>B", "(3ABc"]
ABC_SIGNS = [" ", "|", "|:", ":|", "-", " ", "[K:D dor]", "[L:1/16]", "!trill!", '"Am"', "~", "\n"]
STEPS = "CDEFGAB"
CONTAINER = "META-INF/container.xml"


def midi(rng: random.Random) -> bytes:
    """Two tracks of 150 notes each."""
    file = mido.MidiFile(ticks_per_beat=480)
    for channel in range(TRACKS):
        track = mido.MidiTrack()
        file.tracks.append(track)
        for _ in range(NOTES_A_TRACK):
            note = {"note": rng.randrange(40, 90), "channel": channel}
            track.append(mido.Message("note_on", time=rng.choice([0, 0, 120]), **note))
            track.append(mido.Message("note_off", time=rng.choice([120, 240, 480]), **note))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def abc(rng: random.Random) -> bytes:
    """Three tunes of 40 notes with most of the signs that the reader knows."""
    tunes = []
    for number in range(1, 4):
        key, meter = rng.choice(["C", "Gmin", "D mix", "Bb"]), rng.choice(["4/4", "6/8", "C|"])
        music = "".join(rng.choice(ABC_NOTES) + rng.choice(ABC_SIGNS) for _ in range(40))
        tunes.append(f"X:{number}\nT:tune {number}\nM:{meter}\nL:1/8\nK:{key}\n{music}\n")
    return "\n".join(tunes).encode()


def musicxml(rng: random.Random) -> bytes:
    """Two parts of 8 measures of 4 notes in two voices, with ties, chords and grace notes."""
    names, parts = "", ""
    for part in ("Horn", rng.choice(["Soprano", "Violin"])):
        names += f"<score-part id='{part}'><part-name>{part}</part-name></score-part>"
        measures = "".join(f"<measure>{_measure(rng)}</measure>" for _ in range(8))
        parts += f"<part id='{part}'>{measures}</part>"
    return (
        "<?xml version='1.0' encoding='UTF-8'?><score-partwise>"
        f"<part-list>{names}</part-list>{parts}</score-partwise>"
    ).encode()


def mxl(rng: random.Random) -> bytes:
    """The same score, packed with the container that names it."""
    container = "<container><rootfiles><rootfile full-path='a.xml'/></rootfiles></container>"
    return pack({CONTAINER: container.encode(), "a.xml": musicxml(rng)})


def archive(rng: random.Random) -> bytes:
    """A zip of one file of each other kind."""
    kinds = {"a.mid": midi, "b/c.abc": abc, "d.musicxml": musicxml, "e.mxl": mxl}
    return pack({name: make(rng) for name, make in kinds.items()})


def pack(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def _measure(rng: random.Random) -> str:
    divisions = f"<attributes><divisions>{rng.choice([2, 4, 480])}</divisions></attributes>"
    return divisions + "".join(_note(rng) for _ in range(4))


def _note(rng: random.Random) -> str:
    inside = rng.choice(["", "", "", "<grace/>", "<chord/>", "<tie type='start'/>"])
    pitch = (
        f"<pitch><step>{rng.choice(STEPS)}</step><alter>{rng.choice([-1, 0, 1])}</alter>"
        f"<octave>{rng.randrange(3, 7)}</octave></pitch>"
    )
    voice = f"<voice>{rng.choice([1, 1, 2])}</voice>"
    return f"<note>{inside}{pitch}<duration>{rng.randrange(1, 9)}</duration>{voice}</note>"
