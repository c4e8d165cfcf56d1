"""What is told about a VM: how it died, what it uses."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping


@dataclasses.dataclass(frozen=True)
class Limit:
    """A limit of a VM: what was asked for, and what enforced it."""

    asked: int | float | None  #: bytes, processors, milliseconds, a count; None: there was none
    enforced_by: str | None


@dataclasses.dataclass(frozen=True)
class DeathRecord:
    """How a VM ended: what ``bioxen run --report`` writes."""

    name: str
    outcome: str
    exit_code: int
    signal: int | None
    error: str | None
    traceback: str | None
    syscall: str | None
    wall_ms: float
    cpu_ms: float
    memory_peak: int
    output_bytes: int
    restarts: int
    limits: Mapping[str, Limit]

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        parts = [self.outcome]
        if self.outcome == "exit":
            parts.append(f"status {self.exit_code}")
        if self.syscall:
            parts.append(f"system call {self.syscall}")
        if self.signal and self.outcome in ("crash", "killed"):
            parts.append(f"signal {self.signal}")
        if self.error:
            parts.append(self.error)
        return ": ".join(parts)


def _limit(name: str, asked: int, enforced_by: str) -> Limit:
    if asked == 0:
        return Limit(None, None)
    return Limit(asked / 1000 if name == "cpus" else asked, enforced_by or None)


def death_record(raw: Mapping[str, Any], restarts: int = 0) -> DeathRecord:
    """From what the extension tells."""
    fields = dict(raw)
    fields["signal"] = fields["signal"] or None
    fields["restarts"] += restarts
    fields["limits"] = {name: _limit(name, *pair) for name, pair in fields["limits"].items()}
    return DeathRecord(**fields)


def told_record(raw: Mapping[str, Any]) -> DeathRecord:
    """From what the orchestrator tells of a topology's VM."""
    fields = {name: value for name, value in raw.items() if name not in ("wall_us", "cpu_us")}
    limits = {name: (limit["asked"], limit["enforced_by"]) for name, limit in raw["limits"].items()}
    return death_record({**fields, "limits": limits, "wall_ms": raw["wall_us"] / 1000, "cpu_ms": raw["cpu_us"] / 1000})


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a VM uses now."""

    sessions: int  #: connections to it
    uptime: float  #: seconds
    cpu_time: float  #: seconds, user and system
    memory: int  #: bytes
    memory_peak: int  #: bytes
    output_bytes: int
