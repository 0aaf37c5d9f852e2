"""What `liupan doctor` shows people: one table of facts, the lists behind them, and what is to be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: key -> (Chinese, English)
WORDS = {
    "title": ("六盘体检", "Liupan: how it is"),
    "database": ("数据库", "database"),
    "timescaledb": ("TimescaleDB {}", "TimescaleDB {}"),
    "native": ("原生分区", "native partitions"),
    "schema": ("数据库结构", "schema"),
    "size": ("数据量", "size"),
    "observations": ("观测值", "observations"),
    "storage": ("存储", "storage"),
    "sizes": (
        "原始值 {raw} · 索引 {index} · 时/日汇总 {rollup}",
        "raw {raw} · indexes {index} · hours and days {rollup}",
    ),
    "compressed": ("压缩比 {:.1f}", "compressed {:.1f}:1"),
    "partitions": ("分区", "partitions"),
    "ready": ("下月已备", "next month is ready"),
    "not_ready": ("下月未备", "next month is not ready"),
    "dropped": ("{:%Y-%m-%d} 之前的原始值已清除", "raw results before {:%Y-%m-%d} are dropped"),
    "late": ("{} 个分区是其后补到的", "{} partitions came later"),
    "rollups": ("时/日汇总", "hours and days"),
    "behind": ("落后 {}", "{} behind"),
    "refreshed": ("{}前刷新", "refreshed {} ago"),
    "lag": ("最新一条到达用时", "the newest took"),
    "broker": ("消息代理", "broker"),
    "reachable": ("可连接", "reachable"),
    "unreachable": ("连不上", "not reachable"),
    "unknown": ("未设置", "not set"),
    "process": ("进程 {}", "process {}"),
    "runs": ("运行中，进程号 {}", "runs, pid {}"),
    "dead": ("没有运行", "does not run"),
    "state": ("状态目录", "state folder"),
    "free": ("剩余 {}", "{} left"),
    "waiting": ("待处理事件", "events waiting"),
    "oldest": ("最早的已等", "the oldest for"),
    "none": ("无", "none"),
    "flags": ("存疑标记（30 天）", "flags (30 d)"),
    "revisions": ("修订值", "revisions"),
    "failing": ("正在重试的事件", "events that fail and are tried again"),
    "set_aside": ("已搁置的事件", "events set aside"),
    "quarantine": ("被拒收的报文", "rejected payloads"),
    "shared_ids": ("可能有两台设备共用的编码", "ids that two stations may share"),
    "silent_stations": ("无数据的监测点", "silent stations"),
    "open_commands": ("迟迟没有结果的命令", "commands without a result"),
    "never": ("从未", "never"),
    "well": ("一切正常", "all is well"),
    "todo": ("需要处理", "to be done"),
}

#: column of a list -> its heading, (Chinese, English)
COLUMNS = {
    "id": ("编号", "id"),
    "consumer": ("处理环节", "consumer"),
    "kind": ("事件", "event"),
    "subject": ("对象", "subject"),
    "failures": ("失败次数", "failures"),
    "last_failure": ("最近失败原因", "last failure"),
    "next_try": ("下次重试", "next try"),
    "set_aside_at": ("搁置时间", "set aside at"),
    "payloads": ("报文", "payloads"),
    "times": ("收到次数", "times sent"),
    "last_at": ("最近收到", "last at"),
    "reason": ("原因", "reason"),
    "code": ("编码", "code"),
    "name": ("名称", "name"),
    "region": ("行政区划", "region"),
    "revisions": ("修订值", "revisions"),
    "last": ("最近数据", "last data"),
    "missed": ("失联监测项", "silent datastreams"),
    "state": ("状态", "state"),
    "tries": ("下发次数", "times sent"),
    "asked_at": ("下发时间", "asked at"),
}

#: seconds of it -> (Chinese, English)
SPANS = {86400: ("天", "d"), 3600: ("小时", "h"), 60: ("分钟", "min"), 1: ("秒", "s")}

#: problem -> what is wrong and what to do, (Chinese, English)
TODO = {
    "database": ("数据库连不上：{reason}", "the database cannot be reached: {reason}"),
    "schema": (
        "数据库结构缺少 {missing}：运行 liupan migrate",
        "the schema lacks {missing}: run liupan migrate",
    ),
    "transaction": (
        "有事务已持续 {minutes} 分钟，实时推送在等它：查看 pg_stat_activity",
        "a transaction has been open for {minutes} min, the live feed waits for it: see pg_stat_activity",
    ),
    "refuses": (
        "数据库写不进去（{reason}）：采集不再确认，数据在消息代理中等待；腾出空间或解除只读，无需重启",
        "nothing can be written to the database ({reason}): ingest acknowledges nothing, data wait at the"
        " broker; make room or end the read-only state, nothing needs a restart",
    ),
    "rollups": (
        "时/日汇总落后 {minutes} 分钟：查看 server 日志，或是否有事务迟迟不结束",
        "hours and days are {minutes} min behind: see the log of server, or a transaction that does not end",
    ),
    "broker": ("消息代理 {address} 连不上", "the broker {address} cannot be reached"),
    "process": ("进程 {name} 没有运行：查看 {log}", "process {name} does not run: see {log}"),
    "room": ("状态目录只剩 {megabytes} MB", "only {megabytes} MB are left for the state folder"),
    "overdue": (
        "{consumer}：{overdue} 个事件逾期未处理，最早的已等 {oldest_s} 秒",
        "{consumer}: {overdue} events are overdue, the oldest waits for {oldest_s} s",
    ),
    "open_commands": (
        "{count} 条命令迟迟没有结果：查看消息代理和 warning 进程，或 POST /commands/{oldest}/cancel",
        "{count} commands have no result: see the broker and the process warning, or POST"
        " /commands/{oldest}/cancel",
    ),
    "shared_id": (
        "编码 {code} 一天内有 {revisions} 个相互矛盾的值，可能有两台设备共用：核对两台设备的编码与密钥",
        "{code} told {revisions} contradicting results in a day, two stations may share this id:"
        " compare the ids and keys that they are set to",
    ),
    "set_aside": (
        "{count} 个事件已搁置：排除原因后运行 liupan doctor --retry-set-aside [编号]",
        "{count} events are set aside: remove the cause, then run liupan doctor --retry-set-aside [ID]",
    ),
}

#: list -> columns shown of it
LISTS = {
    "failing": ("id", "consumer", "kind", "subject", "failures", "last_failure", "next_try"),
    "set_aside": ("id", "consumer", "kind", "subject", "last_failure", "set_aside_at"),
    "quarantine": ("payloads", "times", "last_at", "reason"),
    "open_commands": ("id", "code", "name", "state", "tries", "asked_at"),
    "shared_ids": ("code", "name", "region", "revisions", "last"),
    "silent_stations": ("code", "name", "region", "last", "missed"),
}


def show(report: dict[str, Any], problems: Sequence[tuple[str, dict[str, Any]]], lang: str) -> None:
    """Print the report and the problems in the language, zh or en."""
    console, english = Console(), lang == "en"

    def word(key: str, value: object = "") -> str:
        return WORDS[key][english].format(value)

    facts = Table(title=word("title"), title_justify="left", show_header=False)
    for name, value in _facts(report, word, english):
        facts.add_row(name, escape(value))
    console.print(facts)
    for name, columns in LISTS.items():
        rows = report.get("events", {}).get(name) or report.get(name) or []
        if rows:
            headings = [COLUMNS[column][english] for column in columns]
            table = Table(*headings, title=word(name), title_justify="left")
            for row in rows:
                table.add_row(*(escape(_cell(row[column], word("never"))) for column in columns))
            console.print(table)
    if not problems:
        console.print(f"[green]✓ {word('well')}[/]")
    for key, values in problems:
        console.print(f"[red]✗ {word('todo')}:[/] {escape(TODO[key][english].format(**values))}")


def _facts(report: dict[str, Any], word: Any, english: bool) -> Iterator[tuple[str, str]]:
    database, broker, state = report["database"], report["broker"], report["state"]
    kind = word("timescaledb", database["timescaledb"]) if database["timescaledb"] else word("native")
    yield word("database"), f"PostgreSQL {database['version']} · {kind}"
    yield word("schema"), str(database["schema"])
    yield word("size"), _bytes(database["size_bytes"])
    if seen := report.get("observations"):
        lag = "" if seen["lag_s"] is None else f" · {word('lag')} {_span(seen['lag_s'], english)}"
        yield word("observations"), f"{_cell(seen['oldest'], '–')} … {_cell(seen['newest'], '–')}{lag}"
        flags = ", ".join(f"{reason} {n}" for reason, n in sorted(seen["flags"].items()))
        yield word("flags"), flags or word("none")
        yield word("revisions"), str(seen["revisions"])
    if stored := report.get("storage"):
        yield from _storage(stored, word, english, compressed=database["timescaledb"] is not None)
    address = broker.get("address", "")
    reach = {True: "reachable", False: "unreachable", None: "unknown"}[broker["reachable"]]
    yield word("broker"), f"{address} {word(reach)}".strip()
    for name, process in report["processes"].items():
        yield word("process", name), word("runs", process["pid"]) if process["alive"] else word("dead")
    free = "" if state["free_bytes"] is None else f" · {word('free', _bytes(state['free_bytes']))}"
    yield word("state"), state["path"] + free
    for row in report.get("events", {}).get("waiting", []):
        age = f"{word('oldest')} {_span(row['oldest_s'], english)}"
        yield f"{word('waiting')} · {row['consumer']}", f"{row['waiting']} · {age}"


def _storage(stored: dict[str, Any], word: Any, english: bool, compressed: bool) -> Iterator[tuple[str, str]]:
    sizes = {name: _bytes(stored[f"{name}_bytes"]) for name in ("raw", "index", "rollup")}
    ratio = stored["compression_ratio"]
    yield (
        word("storage"),
        WORDS["sizes"][english].format(**sizes) + (f" · {word('compressed', ratio)}" if ratio else ""),
    )
    facts = [str(stored["partitions"])]
    if not compressed:
        facts.append(word("ready" if stored["next_ready"] else "not_ready"))
    if stored["floor"]:
        facts.append(word("dropped", stored["floor"]))
    if stored["late_partitions"]:
        facts.append(word("late", stored["late_partitions"]))
    yield word("partitions"), " · ".join(facts)
    if stored["rollups_behind_s"] is not None:
        span = _span(stored["rollups_behind_s"], english)
        yield word("rollups"), word("refreshed" if compressed else "behind", span)


def _cell(value: object, missing: str) -> str:
    if value is None:
        return missing
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value.astimezone():%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _span(seconds: float, english: bool) -> str:
    size = next((size for size in SPANS if seconds >= size), 1)
    return f"{seconds / size:.1f} {SPANS[size][english]}"
