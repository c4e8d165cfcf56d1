"""The corpus of hostile scripts: reads a script's header and judges how its run ended.

The header is a block of comments, `-- key: value`, in a fixed order; see tests/corpus/README.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from bxrun import Result

HEADER = re.compile(r"^-- (name|class|profile|expect|accept|needs|host|note): (.*)$")
ORDER = ("name", "class", "profile", "expect", "accept", "needs", "host", "note")
CLASSES = {"cpu", "memory", "pids", "fs", "net", "syscall", "lua-escape", "output", "kernel-info", "peer-vm", "control-channel"}
KINDS = {"killed timeout": {"timeout", "cpu"}, "killed oom": {"memory"}, "killed signal": {"policy", "crash"},
         "killed limit": {"output", "killed"}}


@dataclass(frozen=True)
class Script:
    path: Path
    fields: dict[str, list[str]] = field(hash=False)

    def one(self, key: str) -> str:
        return self.fields[key][0]

    @property
    def needs(self) -> set[str]:
        return {word for line in self.fields.get("needs", []) for word in line.split()}

    @property
    def wanted(self) -> list[str]:
        return self.fields["expect"] + self.fields.get("accept", [])


def read_script(path: Path) -> Script:
    fields: dict[str, list[str]] = {}
    last = 0
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        match = HEADER.match(line)
        if match is None:
            if line:
                raise ValueError(f"{path.name}: an empty line must follow the header, not {line!r}")
            break
        key = match.group(1)
        if ORDER.index(key) < last:
            raise ValueError(f"{path.name}: {key} out of order")
        last = ORDER.index(key)
        fields.setdefault(key, []).append(match.group(2))
    for key in ("name", "class", "profile", "expect"):
        if len(fields.get(key, [])) != 1:
            raise ValueError(f"{path.name}: needs exactly one {key}")
    if fields["name"] != [path.stem] or fields["class"][0] not in CLASSES or fields["profile"][0] not in ("restricted", "full"):
        raise ValueError(f"{path.name}: wrong name, class or profile")
    return Script(path, fields)


def last_line(result: Result) -> str:
    lines = [line for line in result.text.split("\n") if line.strip()]
    return lines[-1] if lines else ""


def expression(text: str) -> re.Pattern[str]:
    r"""Plain words, `.*` and `\|` (or `|`) only, as the corpus promises."""
    return re.compile(text.replace(r"\|", "|"), re.S)


def matches(outcome: str, result: Result) -> bool:
    record = result.record
    ended = record["outcome"]
    by_itself = ended == "ok" or (ended == "exit" and record["exit_code"] == 0)
    if outcome == "denied":
        return by_itself and last_line(result) == "CONTAINED"
    if outcome in KINDS:
        return ended in KINDS[outcome]
    kind, _, rest = outcome.partition(" ")
    if kind == "ok":
        return by_itself and (not rest or last_line(result) == rest or bool(expression(rest).fullmatch(last_line(result))))
    if kind == "error":
        return record["error"] is not None and ended in ("error", "syntax", "memory") and bool(expression(rest).search(record["error"]))
    raise ValueError(f"unknown outcome {outcome!r}")


def escaped(result: Result) -> list[str]:
    return [line for line in result.text.split("\n") if line.startswith("ESCAPED")]
