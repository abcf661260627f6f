"""What the detectors read, as a training request carries it."""

from __future__ import annotations

import msgspec

from streams.drift.readings import Level, stream_readings
from streams.drift.sequential import Change
from streams.settings_sections import DriftSettings


def test_an_alarm_of_page_hinkley_is_a_number_that_can_be_sent() -> None:
    settings = DriftSettings()
    alarm = Change(mean=0.1, moved=0.0, sum=settings.page_hinkley)
    reading = stream_readings("recall", alarm, settings)[1]

    assert reading.level is Level.DRIFT
    assert msgspec.json.decode(msgspec.json.encode(reading.drift)) == reading.drift
