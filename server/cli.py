"""The command `liupan`: finds the command's module by name, and says in one line what went wrong."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

import psycopg

from server import run_state


@dataclass(frozen=True, slots=True)
class Command:
    """The module whose main(argv) does it, its help, and whether it works on what runs already."""

    module: str
    zh: str
    en: str
    joins: bool = True


COMMANDS = {
    "up": Command(
        "server.up", "启动数据库、消息代理和四个进程", "start database, broker and processes", False
    ),
    "demo": Command("server.demo", "演示：一场模拟暴雨的全过程", "show a simulated storm, end to end", False),
    "migrate": Command("server.migrate", "建立或更新数据库结构", "create or update the schema", False),
    "doctor": Command(
        "server.doctor", "检查运行状况，列出卡住的事件", "check health, list stuck events", False
    ),
    "import": Command(
        "server.importing", "导入隐患点、监测点、队伍登记表", "register sites, things and units"
    ),
    "export": Command("server.export", "导出登记表或观测值", "write out the registry or observations"),
    "unclaimed": Command("server.unclaimed", "查看或认领未登记的设备", "list or claim unknown devices"),
    "decode": Command("ingest.decode", "解读一条报文", "show what a payload holds", False),
    "rejected": Command("ingest.rejected", "查看或重放被拒收的报文", "list or replay rejected payloads"),
    "replay": Command("ingest.replay", "按选定速度回放真实记录", "replay real records at a chosen speed"),
    "simulate": Command(
        "ingest.simulate", "模拟暴雨、边坡、巡查和队伍", "simulate storm, slopes, patrols, teams"
    ),
    "command": Command("server.command", "向监测站下发命令", "send a command to a station"),
    "import-track": Command("ingest.import_track", "导入 GPX 轨迹", "store a GPX file as a track"),
    "track": Command("ingest.track", "查看或导出已存轨迹", "show or export stored tracks"),
    "bench": Command("server.bench", "测量整条路径的速度", "measure the whole path", False),
}


#: options with which a command needs nothing that runs
ALONE = {"-h", "--help", "--registry", "--truth"}


def main(argv: list[str] | None = None) -> int:
    """Run the command that the arguments name; return its exit code, 2 when there is no such command."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["help"]
    if name in ("help", "--help", "-h"):
        print("\n".join(_help()))
    elif name in ("version", "--version", "-V"):
        print(f"liupan {version('liupan')}")
    elif name in COMMANDS:
        return _run(name, rest)
    else:
        print(f"liupan: there is no command {name!r}; see liupan help", file=sys.stderr)
        return 2
    return 0


def _run(name: str, argv: list[str]) -> int:
    command = COMMANDS[name]
    try:
        if command.joins and not ALONE & set(argv):
            _join()
        return int(import_module(command.module).main(argv))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `liupan ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, RuntimeError, OSError, psycopg.Error) as error:
        print(f"liupan {name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _join() -> None:
    """Let the command find what runs on the state folder as it would a real server: by the environment."""
    settings = run_state.connect_settings()
    os.environ["LIUPAN_DATABASE_URL"] = settings.database_url
    os.environ["LIUPAN_MQTT_URL"] = settings.mqtt_url


def _help() -> list[str]:
    lines = ["usage: liupan COMMAND [ARGUMENT ...]      liupan COMMAND --help      liupan --version", ""]
    return lines + [f"  {name:13}{command.en:42}{command.zh}" for name, command in COMMANDS.items()]


if __name__ == "__main__":
    sys.exit(main())
