"""The reference records become messages without a row too many or too few."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from ingest import records
from ingest.files import decoded
from ingest.records import Source


def results(source: Source, thing: str, datastream: str) -> list[tuple[datetime, float]]:
    readings = [r for message in source.messages for r in decoded(message).readings]
    return [
        (r.phenomenon_time, float(r.result))
        for r in readings
        if (r.thing, r.datastream) == (thing, datastream) and r.phenomenon_time is not None
    ]


@pytest.mark.parametrize(("gauge", "missing", "gaps"), [("kbfi", 117, 36), ("ksea", 95, 32)])
def test_hours_that_are_missing_stay_missing(data: Path, gauge: str, missing: int, gaps: int) -> None:
    """The figures of usgs-thresh/SOURCE.txt; the record spans 2010-07-24 00 h to 2011-12-31 23 h."""
    rain = results(records.usgs_thresh(data / "usgs-thresh"), f"replay-{gauge}", "rain")
    first, last = datetime(2010, 7, 24, 0, 59, tzinfo=UTC), datetime(2011, 12, 31, 23, 59, tzinfo=UTC)
    assert (rain[0][0], rain[-1][0]) == (first, last)
    hours = (last - first) // timedelta(hours=1) + 1
    assert hours - len(rain) == missing
    assert sum(b[0] - a[0] > timedelta(hours=1) for a, b in pairwise(rain)) == gaps


def test_rain_is_in_millimetres(data: Path) -> None:
    """2010-12-12 07 h at KBFI: 0.29 in, as Thresh writes in its own list of exceedances."""
    rain = dict(results(records.usgs_thresh(data / "usgs-thresh"), "replay-kbfi", "rain"))
    assert rain[datetime(2010, 12, 12, 7, 59, tzinfo=UTC)] == pytest.approx(0.29 * 25.4)


def test_baishuihe_has_14_points_and_only_the_days_that_were_recorded(data: Path) -> None:
    source = records.baishuihe(data / "baishuihe")
    streams = {thing["code"]: thing["datastreams"] for thing in source.registry["things"]}
    assert len(streams) == 14 + 1
    # SOURCE.txt: 73 months for ZG118, 2006-12 to 2012-12
    moved = results(source, "replay-bsh-zg118", "dF")
    assert len(moved) == 73
    assert moved[0] == (datetime(2006, 11, 30, 16, tzinfo=UTC), 637.6)  # midnight in China
    rain = results(source, "replay-bsh-rain", "rain")
    with (data / "baishuihe/baishuihe_rain_daily.csv").open(encoding="utf-8-sig") as lines:
        assert len(rain) == sum(not line.rstrip().endswith(",") for line in lines) - 1
    assert rain[0] == (datetime(2007, 1, 1, 16, tzinfo=UTC), 7.1)


def test_messages_are_in_the_order_of_their_times(data: Path) -> None:
    for source in (records.usgs_thresh(data / "usgs-thresh"), records.baishuihe(data / "baishuihe")):
        times = [message.at for message in source.messages]
        assert times == sorted(times)


def test_replayed_sites_and_stations_say_what_they_are(data: Path) -> None:
    for source in (records.usgs_thresh(data / "usgs-thresh"), records.baishuihe(data / "baishuihe")):
        for entry in [*source.registry["sites"], *source.registry["things"]]:
            assert entry["mode"] == "test"
        for site in source.registry["sites"]:
            assert str(site["name_zh"]).startswith("回放")
            assert str(site["name_en"]).startswith("Replay")
            assert "lent" in str(site["name_en"])
