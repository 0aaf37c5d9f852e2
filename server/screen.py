"""The terminal view of the demo: panels for a terminal, one line per event where there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from domain.geo import Position, distance_m
from server.watch import Picture, Row
from server.words import LEVELS, MESSAGES, STATES, lead_kind, level, local, step, word

#: so many of the last events are shown
LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is looked at: the address of the HTTP server, the state folder, the running processes."""

    lang: str
    url: str
    state: Path
    pids: Callable[[], Mapping[str, int]]
    picture: Picture = field(default_factory=Picture)
    #: what happened last, one line each
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))


def render(view: View) -> RenderableType:
    """Return the whole screen; what matters most stands first, as a small terminal cuts off the end."""
    picture, lang = view.picture, view.lang
    return Group(
        Text(word("title", lang), "bold white on dark_red", justify="center"),
        _foot(view),
        _sites(picture, lang),
        _alerts(picture, lang),
        _teams(picture, lang),
        _cases(picture, lang),
        _assessments(picture, lang),
        _happened(view),
    )


def _sites(picture: Picture, lang: str) -> RenderableType:
    rows = []
    for site in sorted(picture.sites, key=lambda s: -list(LEVELS).index(s["level"])):
        latest = [row for row in picture.latest if row["site"] == site["code"]]
        rows.append((local(site, "name", lang), level(site["level"], lang), _total(latest), _moved(latest),
                     _clock(site["as_of"])))  # fmt: skip
    return _table("sites", lang, rows, ("site", "level", "rain", "moved", "as_of"))


def _total(latest: Sequence[Row]) -> str:
    totals = [row["result"] for row in latest if "total" in row["datastream"].lower() and row["unit"] == "mm"
              and not row["observed_property"]]  # fmt: skip
    return f"{max(totals):.1f}" if totals else "–"


def _moved(latest: Sequence[Row]) -> str:
    axes = [row["result"] for row in latest if row["observed_property"].startswith("displacement")]
    return f"{sum(axis * axis for axis in axes) ** 0.5:.0f}" if axes else "–"


def _alerts(picture: Picture, lang: str) -> RenderableType:
    rows = [
        (_clock(alert["sent"]), level(alert["level"], lang),
         alert["message_type"] if lang == "en" else MESSAGES[alert["message_type"]],
         local(alert, "headline", lang))
        for alert in picture.alerts[:5]
    ]  # fmt: skip
    return _table("alerts", lang, rows)


def _teams(picture: Picture, lang: str) -> RenderableType:
    rows = []
    for incident in picture.incidents[:5]:
        for dispatch in incident["dispatches"] or [None]:
            team, state, way = "–", local(incident, "note", lang), ""
            if dispatch:
                team, way = local(dispatch, "unit_name", lang), to_go(picture, incident, dispatch, lang)
                state = dispatch["state"] if lang == "en" else STATES[dispatch["state"]]
            rows.append(
                (local(incident, "site_name", lang), level(incident["level"], lang), team, state, way)
            )
    return _table("teams", lang, rows)


def to_go(picture: Picture, incident: Row, dispatch: Row, lang: str) -> str:
    """Return how far the team is from the site, while it is on its way; empty when that is not known."""
    unit = next((unit for unit in picture.units if unit["code"] == dispatch["unit"]), None)
    if unit is None or dispatch["closed_at"] is not None:
        return ""
    here, there = (Position(lon=row["lon"], lat=row["lat"]) for row in (unit, incident))
    return f"{word('to_go', lang)} {distance_m(here, there) / 1000:.1f} km"


def _cases(picture: Picture, lang: str) -> RenderableType:
    cases = {case["id"]: f"{case['number']} · {step(case['step'], lang)}" for case in picture.cases}
    rows = [
        (_clock(lead["seen_at"]), lead_kind(lead["kind"], lang), cases.get(lead["case"], "–"),
         lead["note"].split(" / ")[-(lang == "en")])
        for lead in picture.leads[:3]
    ]  # fmt: skip
    return _table("enforcement", lang, rows)


def _assessments(picture: Picture, lang: str) -> RenderableType:
    names = {site["code"]: local(site, "name", lang) for site in picture.sites}
    rows = [
        (_clock(row["at"]), level(row["level"], lang), names.get(row["site"], ""),
         local(row, "reason", lang))
        for row in picture.assessments
    ]  # fmt: skip
    return _table("assessments", lang, rows)


def _happened(view: View) -> RenderableType:
    return _table("happened", view.lang, [(line,) for line in view.lines])


def _foot(view: View) -> RenderableType:
    picture, lang, counts = view.picture, view.lang, view.picture.counts
    told = {
        "stored": counts.get("observations", 0),
        "per_s": f"{picture.rate:.0f}",
        "rejected": counts.get("rejected", 0),
        "revisions": counts.get("revisions", 0),
        "flags": sum(counts.get("flags", {}).values()),
        "waiting": picture.health.get("waiting", 0),
    }
    lines = [
        " · ".join(f"{word(key, lang)} {value}" for key, value in told.items()),
        f"{word('processes', lang)}: " + " · ".join(f"{name} {pid}" for name, pid in view.pids().items()),
        f"{word('open', lang)}: {view.url}/docs · {view.url}/live · LIUPAN_STATE={view.state} liupan doctor",
        word("stop", lang),
    ]
    if picture.trouble:
        lines.append(f"{word('trouble', lang)}: {picture.trouble}")
    return Text("\n".join(lines))


def _table(
    title: str, lang: str, rows: Sequence[Sequence[str | Text]], columns: Sequence[str] = ()
) -> RenderableType:
    """Return a titled table whose last column gives way where the terminal is too narrow."""
    table = Table(box=None, show_header=bool(columns))
    # as Text: brackets in what others have said are no markup
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    cells = cells or [[Text(word("nothing", lang), "dim")]]
    for number, column in enumerate(zip(*cells, strict=True)):
        last = number == len(cells[0]) - 1
        widest = max(cell.cell_len for cell in column)
        head = word(columns[number], lang) if columns else ""
        table.add_column(head, no_wrap=True, overflow="ellipsis", min_width=None if last else widest)
    for row in cells:
        table.add_row(*row)
    return Group(Text(word(title, lang), "bold"), table)


def _clock(at: str | None) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%m-%d %H:%M}" if at else "–"
