"""Sizes, times and numbers of processors: numbers, or text as people write it."""

from __future__ import annotations

import math
import re
from typing import Union

Size = Union[int, str]
Time = Union[int, float, str]

_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([KMGT])(?:iB)?", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h)", re.ASCII)
_SIZE_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def size(value: Size, what: str) -> int:
    """Bytes: a number, or "64KiB", "64M", "1.5GiB"."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value >= 0:
            return value
    elif isinstance(value, str):
        if re.fullmatch(r"\d+", value, re.ASCII):
            return int(value)
        match = _SIZE.fullmatch(value)
        if match:
            return int(float(match[1]) * _SIZE_UNITS[match[2].upper()])
    raise ValueError(f"{what}: {value!r} is no size; a size is a number of bytes, or like 64KiB, 64MiB, 1GiB")


def seconds(value: Time, what: str) -> float:
    """Seconds, above 0: a number, or "250ms", "5s", "2m", "1h30m". Infinity is no limit."""
    result = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        result = float(value)
    elif isinstance(value, str) and re.fullmatch(f"(?:{_TIME.pattern})+", value, re.ASCII):
        result = sum(float(number) * _TIME_UNITS[unit] for number, unit in _TIME.findall(value))
    if result > 0:
        return result
    raise ValueError(f"{what}: {value!r} is no time above 0; a time is a number of seconds, or like 250ms, 5s, 2m")


def processors(value: int | float | str, what: str) -> int:
    """Thousandths of a processor: 0.5, 2, or "0.5"."""
    if isinstance(value, str):
        value = float(value) if re.fullmatch(r"\d+(\.\d*)?|\.\d+", value, re.ASCII) else math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0.01 <= value <= 1000:
        return int(value * 1000)
    raise ValueError(f"{what}: {value!r} is no number of processors, which is from 0.01 to 1000")


def count(value: int | str, what: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d+", value, re.ASCII):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 32:
        return value
    raise ValueError(f"{what}: {value!r} is no number above 0")
