"""Measuring the running system: real processes, a real broker, every promise checked along the way."""
