"""The prompt of VM.attach."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from .errors import BioxenError, LuaError, VMDied

if TYPE_CHECKING:
    from .vm import VM

# An expression or statements, as lua(1) takes them. What was typed comes as a value and is loaded in the VM. Returns
# "more" when it is not complete, "wrong" and why, or "done" and what is to be shown.
_RUN = """
local source = ...
local chunk, why = load("return " .. source, "=stdin")
if not chunk then chunk, why = load(source, "=stdin") end
if not chunk then
    if why:sub(-5) == "<eof>" then return "more", why end
    return "wrong", why
end
local function show(...)
    local texts = table.pack(...)
    for i = 1, texts.n do texts[i] = tostring(texts[i]) end
    return "done", table.concat(texts, "\\t"), texts.n
end
return show(chunk())
"""


class Prompt:
    def __init__(self, vm: VM, stdin: TextIO | None, stdout: TextIO | None) -> None:
        self._vm = vm
        self._in = stdin
        self._out = stdout if stdout is not None else sys.stdout

    def _line(self, prompt: str) -> str | None:
        if self._in is None:
            try:
                return input(prompt)
            except EOFError:
                return None
        self._write(prompt)
        line = self._in.readline()
        return line.rstrip("\n") if line else None

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _run(self, source: str) -> bool:
        """Is it complete?"""
        try:
            end, text, *count = self._vm.execute(_RUN, source, on_stdout=self._write, on_stderr=self._write)
        except LuaError as error:
            self._write(f"{error.message}\n" + (f"{error.traceback}\n" if error.traceback else ""))
            return True
        except VMDied:
            raise
        except BioxenError as error:
            self._write(f"{error}\n")
            return True
        if end == "done" and count[0] > 0 or end == "wrong":
            self._write((text if isinstance(text, str) else repr(text)) + "\n")
        return bool(end != "more")

    def run(self) -> None:
        if self._in is None and sys.stdin.isatty():
            import readline  # noqa: F401  line editing for input()
        source = ""
        while True:
            try:
                line = self._line(f"{self._vm.name}>{'>' if source else ''} ")
                if line is None:
                    self._write("\n")
                    return
                source = f"{source}\n{line}" if source else line
                if not source.strip() or self._run(source):
                    source = ""
            except KeyboardInterrupt:
                self._write("\n")
                source = ""
