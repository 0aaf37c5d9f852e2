"""Every setting of every process, read once from the environment; the only place that reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set, with units; each field is the variable LIUPAN_<FIELD> in capitals."""

    #: folder of the embedded database, the broker's data and the logs
    state: Path
    #: PostgreSQL to use; empty: the embedded one
    database_url: str = ""
    #: broker to use, mqtt://[user:password@]host[:port]; empty: the embedded one
    mqtt_url: str = ""
    #: port of the embedded broker on every interface that `mqtt_bind` names
    mqtt_port: int = 18831
    mqtt_bind: str = "127.0.0.1"
    #: port of the embedded database on the loopback interface
    database_port: int = 18832
    #: where the HTTP server listens; there are no accounts yet, so keep it on the loopback interface
    http_bind: str = "127.0.0.1"
    http_port: int = 18830
    #: where ingest listens for devices that speak HTTP (OwnTracks, Traccar, stations); port 0: nowhere
    intake_bind: str = "127.0.0.1"
    intake_port: int = 18833
    #: where ingest listens for stations that speak SL651 and SZY206 over TCP; port 0: for none
    sl651_bind: str = "127.0.0.1"
    sl651_port: int = 18834
    szy206_port: int = 0
    #: encryption key of OwnTracks phones (libsodium, at most 32 bytes), the same in all their apps
    owntracks_key: str = ""
    #: administrative region this installation serves: prefix of a GB/T 2260 code, empty for all of China
    region: str = "64"
    #: observations are stored after this many or after this long, whichever comes first
    batch_rows: int = 5000
    batch_ms: int = 5
    #: raw observations are dropped, whole months at a time, this many months after their month ended; their
    #: hours and days stay. 0: keep them for ever
    retention_months: int = 0
    #: keys of encrypted stations, JSON: {appId: {"cipher": "AES-128-ECB", "key": hexadecimal or base64}};
    #: ciphers are AES, 3DES and DES in the modes ECB and CBC, and CBC needs an "iv" written like the key
    station_keys: str = field(default="", repr=False)
    #: folder with one's own rule files; empty: only those that ship
    rules: str = ""
    #: folder with the reference records that `liupan replay` knows by name
    data: str = "../shared/data"
    #: language of the terminal view: zh or en
    lang: str = "zh"
    #: the demo ends by itself after so many seconds; 0: with Ctrl-C
    demo_seconds: int = 0
    #: who signs alerts: the first 14 digits of a national identifier (district, sector, unit)
    alert_office: str = "64000000000000"
    #: who sends alerts (CAP sender) and what they are called
    alert_sender: str = "liupan@example.invalid"
    alert_sender_name: str = "宁夏回族自治区自然资源厅、宁夏回族自治区气象局"
    alert_sender_name_en: str = "Natural Resources Department and Meteorological Bureau of Ningxia"
    #: number of an enforcement case: {year}, {region} (county) and {serial}, each exactly once
    case_number: str = "宁自然资执〔{year}〕{region}-{serial:04d}"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; ValueError names the variable that cannot be read."""
        values: dict[str, object] = {"state": Path(env.get("LIUPAN_STATE") or ".liupan").absolute()}
        for name in cls.__slots__:
            text = env.get(f"LIUPAN_{name.upper()}", "").strip()
            # an empty region is all of China; elsewhere an empty variable is one that is not set
            if name == "state" or not (text or (name == "region" and "LIUPAN_REGION" in env)):
                continue
            if isinstance(cls.__dataclass_fields__[name].default, int):
                if not text.isdigit():
                    raise ValueError(f"LIUPAN_{name.upper()} must be a whole number, not {text!r}")
                values[name] = int(text)
            else:
                values[name] = text
        return cls(**values)  # type: ignore[arg-type]

    def database(self) -> str:
        """Return the database's address; ValueError when it is missing."""
        if not self.database_url:
            raise ValueError("LIUPAN_DATABASE_URL is not set; `liupan up` sets it for its processes")
        return self.database_url

    def broker(self) -> SplitResult:
        """Return the broker's address in parts; ValueError when it is missing or no mqtt address."""
        url = urlsplit(self.mqtt_url)
        if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
            raise ValueError(f"LIUPAN_MQTT_URL must look like mqtt://host:1883, not {self.mqtt_url!r}")
        return url
