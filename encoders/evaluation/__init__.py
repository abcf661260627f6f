"""Offline evaluation: metrics over ranks, methods that score a catalogue, and the leave-one-out protocol."""
