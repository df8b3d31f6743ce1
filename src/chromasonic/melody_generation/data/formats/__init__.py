"""Readers of MIDI, ABC and MusicXML."""
