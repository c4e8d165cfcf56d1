"""Broken topology files: what is wrong, where, and what has to be said of it.

In each text the mark « stands before the place that the fault is to be told at; it is taken out before the file is written.
A case is (text, part of the message[, part of the suggestion]). Every file has that fault, and may have others that follow
from it. Scripts good.lua, bad.lua (line 2 does not compile), binary.lua (compiled Lua) and a directory folder.lua are
beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

MARK = "«"


@dataclass(frozen=True)
class Case:
    name: str
    text: bytes
    line: int
    column: int
    message: str
    suggestion: str


def place(text: str) -> tuple[str, int, int]:
    before, after = text.split(MARK)
    return before + after, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def top(rest: str) -> str:
    return f"version: 1\nvms: {{a: {{code: return}}}}\n{rest}\n"


def vm(keys: str, more: str = "") -> str:
    return f"version: 1\nvms:\n  a: {{code: return, {keys}}}\n  b: {{code: return, server: 80}}\n{more}"


def block(lines: str) -> str:
    return "version: 1\nvms:\n  a:\n    code: return\n" + "".join(f"    {line}\n" for line in lines.split("\n"))


def wire(keys: str) -> str:
    return f"version: 1\nvms:\n  a: {{code: return, replicas: 2}}\n  b: {{code: return, server: [80, 53/udp]}}\n  c: {{code: return}}\nwires:\n  - {{{keys}}}\n"


def group(keys: str) -> str:
    return f"version: 1\nvms:\n  a: {{code: return, replicas: 2}}\n  b: {{code: return}}\ngroups:\n  g: {{{keys}}}\n"


SYNTAX = {
    "tab-indents": ("version: 1\nvms:\n«\ta:\n", "a tab may not indent YAML", "spaces"),
    "tab-after-blanks": ("version: 1\nvms:\n  a:\n  «\tcode: return\n", "a tab may not indent YAML", "spaces"),
    "colon-twice": ("version: 1\nvms: a«: b\n", "not allowed here", "quotes"),
    "indented-too-much": ("version: 1\n  vms«: {}\n", "not allowed here", "indented"),
    "indented-too-little": ("version: 1\nvms:\n    a: {code: return}\n  «b: {code: return}\n", "fits neither", "indented"),
    "key-without-colon": ("version: 1\n«vms\nname: x\n", "needs a ':'", "key: value"),
    "key-without-blank": ("version: 1\n«name:x\nvms: {a: {code: return}}\n", "needs a ':'"),
    "bracket-open": ("version: 1\nvms: {a: {code: return, args: [x«}}\n", "missing"),
    "brace-open": ("version: 1\nvms: {a: {code: return}\n«", "missing"),
    "bracket-closed-wrong": ("version: 1\nvms: {a: {code: return, args: {x: 1«]}}\n", "'}' is missing"),
    "list-in-map-line": ("version: 1\nvms: «- a\n", "a list may not begin here"),
    "quote-open": ("version: 1\nname: «\"x\nvms: {}\n", "the quote is not closed"),
    "single-quote-open": ("version: 1\nname: «'x\nvms: {}\n", "the quote is not closed"),
    "unknown-escape": ("version: 1\nname: \"a«\\qb\"\n", "unknown escape", "backslash"),
    "at-sign": ("version: 1\nname: «@x\n", "cannot begin a value", "quotes"),
    "backtick": ("version: 1\nname: «`x`\n", "cannot begin a value", "quotes"),
    "percent": ("version: 1\nname: «%x\n", "cannot begin a value", "quotes"),
    "anchor": ("version: 1\nvms:\n  a: «&x {code: return}\n", "anchors (&x) are not supported", "defaults"),
    "anchor-on-text": ("version: 1\nname: «&x chat\nvms: {a: {code: return}}\n", "anchors (&x)"),
    "alias": ("version: 1\nvms:\n  a: {code: return}\n  b: «*a\n", "aliases (*name) are not supported", "defaults"),
    "alias-in-list": ("version: 1\nvms:\n  a: {code: return, args: [«*x]}\n", "aliases"),
    "alias-as-key": ("version: 1\n«*x : 1\nvms: {a: {code: return}}\n", "aliases"),
    "cyclic-anchor": ("version: 1\nvms: «&x\n  a: {code: return}\n  b: *x\n", "anchors"),
    "merge-key": ("version: 1\nvms:\n  a:\n    «<<: {code: return}\n    code: return\n", "unknown key '<<'", "defaults"),
    "tag": ("version: 1\nname: «!!str chat\nvms: {a: {code: return}}\n", "tags are not supported"),
    "tag-on-map": ("version: 1\nvms: «!x {a: {code: return}}\n", "tags are not supported"),
    "tag-on-list": ("version: 1\nvms: {a: {code: return, args: «!!seq [x]}}\n", "tags are not supported"),
    "tag-python": ("version: 1\nvms: {a: {code: «!!python/object:os.system x}}\n", "tags are not supported"),
    "tag-directive": ("«%TAG ! tag:x,2000:\n---\nversion: 1\nvms: {a: {code: return}}\n", "tags are not supported"),
    "second-document": ("version: 1\nvms: {a: {code: return}}\n«---\nversion: 1\n", "second document", "own"),
    "duplicate-top": ("version: 1\nname: a\nvms: {a: {code: return}}\n«name: b\n", "'name' is here twice; the first is in line 2", "remove"),
    "duplicate-vm": ("version: 1\nvms:\n  a: {code: return}\n  «a: {code: return}\n", "'a' is here twice; the first is in line 3"),
    "duplicate-key": (block("memory: 4MiB\n«memory: 8MiB"), "'memory' is here twice; the first is in line 5"),
    "duplicate-variable": (vm("env: {A: 1, «A: 2}"), "'A' is here twice"),
    "duplicate-quoted": (vm("memory: 4MiB, «\"memory\": 8MiB"), "'memory' is here twice"),
    "duplicate-spelling": (vm("cpu_time: 1s, «cpu-time: 2s"), "'cpu_time' is here twice"),
    "duplicate-own-key": ("version: 1\nx-a: 1\nvms: {a: {code: return}}\n«x-a: 2\n", "'x-a' is here twice"),
    "key-is-a-list": ("version: 1\n? «[a, b]\n: 1\nvms: {a: {code: return}}\n", "a key must be a word"),
    "key-is-a-map": ("version: 1\n«{a: b}: 1\nvms: {a: {code: return}}\n", "a key must be a word"),
    "deep-lists": ("x-deep: " + "[" * 15 + "«[" + "]" * 16 + "\n", "nested deeper than 16 levels"),
    "deep-maps": ("x-deep: " + "{a: " * 15 + "«{a: 1" + "}" * 16 + "\n", "nested deeper than 16 levels"),
    "deep-dashes": ("x-deep:\n  " + "- " * 15 + "«- a\n", "nested deeper than 16 levels"),
    "deep-unclosed": ("version: 1\nx: " + "[" * 15 + "«" + "[" * 100000, "nested deeper than 16 levels"),
    "deep-question-marks": ("? " * 16 + "«" + "? " * 5000 + "\n", "nested deeper than 16 levels"),
    "nul-escape": ("version: 1\nname: «\"a\\0b\"\nvms: {a: {code: return}}\n", "a NUL character"),
}

TEXT = {
    "empty": ("«", "the file is empty", "version: 1"),
    "blank": ("«\n\n  \n", "the file is empty"),
    "comment-only": ("«# nothing\n", "the file is empty"),
    "nul": ("version: 1\nname: a«\0b\n", "a NUL character"),
    "bell": ("version: 1\nname: a«\ab\n", "a control character"),
    "escape": ("version: 1\nname: «\x1b[31mred\n", "a control character"),
    "delete": ("version: 1\nname: a«\x7f\n", "a control character"),
    "c1": ("version: 1\nname: a«\x85b\n", "a control character (U+0080 to U+009F)"),
    "line-separator": ("version: 1\nname: a«\u2028b\n", "U+2028"),
    "carriage-return": ("version: 1«\rname: x\n", "a carriage return without a newline"),
    "bom-inside": ("version: 1\nname: «\ufeffx\n", "byte order mark"),
    "no-character": ("version: 1\nname: «\uffff\n", "U+FFFF"),
}

BYTES = {
    "latin-1": (b"version: 1\nname: caf\xe9\n", 2, 10, "not UTF-8"),
    "utf-16-le": (b"\xff\xfe" + "version: 1\n".encode("utf-16-le"), 1, 1, "UTF-16"),
    "utf-16-be": (b"\xfe\xff" + "version: 1\n".encode("utf-16-be"), 1, 1, "UTF-16"),
    "overlong": (b"version: 1\nname: \xc0\xaf\n", 2, 7, "not UTF-8"),
    "surrogate": (b"version: 1\nname: \xed\xa0\x80\n", 2, 7, "not UTF-8"),
    "cut-character": (b"version: 1\nname: \xe2\x82", 2, 7, "not UTF-8"),
    "elf": (b"\x7fELF\x02\x01\x01\0\0\0", 1, 1, "a control character"),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0", 1, 1, "a control character"),
    "zeroes": (b"\0" * 4096, 1, 1, "a NUL character"),
    "over-1-mib": (b"version: 1\n#" + b"x" * (1 << 20), 1, 1, "larger than 1 MiB"),
    "10-mib": (b"# a comment\n" * 900000, 1, 1, "larger than 1 MiB"),
    "too-many-values": (b"x-a: [" + b"1," * 262144 + b"1]\n", 1, 524289, "more than 262144 values"),
}

TOP = {
    "no-map": ("«- version: 1\n", "a topology must be a map, not a list", "version: 1"),
    "a-text": ("«hello\n", "a topology must be a map, not 'hello'"),
    "version-missing": ("«vms: {a: {code: return}}\n", "'version' is missing", "version of this format"),
    "version-2": ("version: «2\nvms: {a: {code: return}}\n", "version: '2' is not 1"),
    "version-text": ("version: «one\nvms: {a: {code: return}}\n", "version: 'one' is not 1"),
    "version-1.0": ("version: «1.0\nvms: {a: {code: return}}\n", "version: '1.0' is not 1"),
    "version-empty": ("«version:\nvms: {a: {code: return}}\n", "version has no value"),
    "vms-missing": ("«version: 1\n", "'vms' is missing"),
    "vms-empty": ("version: 1\nvms: «{}\n", "vms is empty"),
    "vms-null": ("version: 1\n«vms:\n", "vms has no value"),
    "vms-list": ("version: 1\nvms: «[a, b]\n", "vms: a list is not a map of names"),
    "vms-text": ("version: 1\nvms: «a\n", "vms: 'a' is not"),
    "name-blank": (top("name: «a b"), "'a b' must be 1 to 63 letters"),
    "name-list": (top("name: «[a]"), "name: a list is not a name"),
    "name-dot": (top("name: «.hidden"), "begin with none of"),
    "name-null": (top("«name: ~"), "name has no value"),
    "unknown-far": (top("«zzz: 1"), "unknown key 'zzz' at the top level", "valid here: version, name, defaults, vms, wires, groups"),
    "unknown-near": (top("«nmae: x"), "unknown key 'nmae' at the top level", "did you mean 'name'?"),
    "unknown-services": ("version: 1\n«services: {a: {code: return}}\n", "unknown key 'services'", "did you mean 'vms'?"),
    "unknown-links": (top("«links: []"), "unknown key 'links'", "did you mean 'wires'?"),
    "belongs-under-vms": (top("«memory: 4MiB"), "unknown key 'memory' at the top level", "this key belongs under vms.<name>"),
    "belongs-under-p2p": (top("«peers: [a]"), "unknown key 'peers'", "this key belongs under vms.<name>.p2p"),
    "belongs-under-wires": (top("«loss: 1%"), "unknown key 'loss'", "this key belongs under wires[]"),
    "near-and-elsewhere": (top("«memroy: 4MiB"), "unknown key 'memroy'", "did you mean 'memory'? this key belongs under vms.<name>"),
    "defaults-list": (top("defaults: «[]"), "defaults: a list is not a map"),
    "defaults-unknown": (top("defaults: {«server: 80}"), "unknown key 'server' in defaults", "vms.<name>"),
    "defaults-range": (top("defaults: {memory: «1}"), "defaults.memory: '1' is out of range: allowed is 2MiB to 64TiB"),
    "wires-map": (top("wires: «{from: a, to: b}"), "wires: a map is not a list of maps"),
    "wires-text": (top("wires: [«a]"), "wires[1] must be a map, not 'a'"),
    "groups-list": (top("groups: «[a]"), "groups: a list is not a map of names"),
}

VM = {
    "vm-null": ("version: 1\nvms:\n  «a:\n", "vms.a must be a map", "script: FILE.lua"),
    "vm-text": ("version: 1\nvms:\n  «a: good.lua\n", "vms.a must be a map"),
    "vm-list": ("version: 1\nvms:\n  «a: [1]\n", "vms.a must be a map"),
    "indented-key": ("version: 1\nvms:\n  a: {code: return}\n  «script: good.lua\n", "vms.script must be a map", "indented too little"),
    "vm-name-blank": ("version: 1\nvms:\n  «a b: {code: return}\n", "'a b' must be 1 to 63 letters"),
    "vm-name-dash": ("version: 1\nvms:\n  «-a: {code: return}\n", "begin with none of '-.'"),
    "vm-name-slash": ("version: 1\nvms:\n  «a/b: {code: return}\n", "must be 1 to 63 letters"),
    "vm-name-umlaut": ("version: 1\nvms:\n  «käse: {code: return}\n", "must be 1 to 63 letters"),
    "vm-name-long": (f"version: 1\nvms:\n  «{'a' * 64}: {{code: return}}\n", "must be 1 to 63 letters"),
    "vm-name-empty": ("version: 1\nvms:\n  «\"\": {code: return}\n", "must be 1 to 63 letters"),
    "vm-name-address": ("version: 1\nvms:\n  «10.0.0.1: {code: return}\n", "this one is an address"),
    "vm-name-number": ("version: 1\nvms:\n  «7: {code: return}\n", "this one is an address"),
    "vm-name-localhost": ("version: 1\nvms:\n  «localhost: {code: return}\n", "this one is an address"),
    "program-missing": ("version: 1\nvms:\n  «a: {memory: 4MiB}\n", "neither script nor code", "script: FILE.lua"),
    "program-twice": ("version: 1\nvms:\n  a: {script: good.lua, code: «return}\n", "both script and code", "remove one"),
    "script-list": ("version: 1\nvms:\n  a: {script: «[good.lua]}\n", "a list is not a file's name"),
    "script-empty": ("version: 1\nvms:\n  a: {script: «''}\n", "'' is not a file's name"),
    "script-null": ("version: 1\nvms:\n  a: {«script: }\n", "script has no value"),
    "script-missing": ("version: 1\nvms:\n  a: {script: «none.lua}\n", "script 'none.lua' is not there"),
    "script-missing-folder": ("version: 1\nvms:\n  a: {script: «good.lua/x.lua}\n", "script 'good.lua/x.lua' is not there"),
    "script-directory": ("version: 1\nvms:\n  a: {script: «folder.lua}\n", "is a directory"),
    "script-device": ("version: 1\nvms:\n  a: {script: «/dev/zero}\n", "is not a regular file"),
    "script-wrong": ("version: 1\nvms:\n  a: {script: «bad.lua}\n", "bad.lua:2: syntax error near 'x'"),
    "script-binary": ("version: 1\nvms:\n  a: {script: «binary.lua}\n", "compiled Lua: only text is loaded"),
    "script-of-defaults": ("version: 1\ndefaults: {script: «bad.lua}\nvms: {a: {memory: 4MiB}}\n", "bad.lua:2:"),
    "code-wrong": ("version: 1\nvms:\n  a: {code: «'x ='}\n", "vms.a: the code: line 1: unexpected symbol near <eof>"),
    "code-block-wrong": ("version: 1\nvms:\n  a:\n    code: |\n      local a = 1\n\n      «return = a\n", "the code: line 3: unexpected symbol near '='"),
    "code-block-of-lua": ("version: 1\nvms:\n  a:\n    code: |\n      «goto nowhere\n", "no visible label 'nowhere'"),
    "code-that-escapes": ("version: 1\nvms:\n  a: {code: «'end os.exit(0) do'}\n", "line 1: <eof> expected near 'end'"),
    "code-map": ("version: 1\nvms:\n  a: {code: «{a: b}}\n", "code: a map is not Lua code"),
    "args-map": (vm("args: «{a: b}"), "args: a map is not a text, or a list of such"),
    "args-nested": (vm("args: [«[a]]"), "args[1]: a list is not a text"),
    "args-null": (vm("args: [a, «~]"), "args[2] has no value"),
    "env-list": (vm("env: «[A=1]"), "env: a list is not a map of names and values"),
    "env-null": (vm("env: {A: «~}"), "env.A has no value"),
    "env-name": (vm("env: {«A=B: 1}"), "cannot be a name"),
    "env-nested": (vm("env: {A: «[1]}"), "env.A: a list is not a text"),
    "profile": (vm("profile: «ful"), "profile: 'ful' is not restricted or full", "did you mean 'full'?"),
    "memory-text": (vm("memory: «much"), "'much' is not a size", ""),
    "memory-unit": (vm("memory: «4MB"), "'4MB' is not a size"),
    "memory-small": (vm("memory: «1MiB"), "memory: '1MiB' is out of range: allowed is 2MiB to 64TiB"),
    "memory-large": (vm("memory: «65TiB".replace("TiB", "T")), "out of range"),
    "memory-huge": (vm("memory: «99999999999999999999G"), "out of range"),
    "memory-negative": (vm("memory: «-1"), "is not a size"),
    "memory-list": (vm("memory: «[4MiB]"), "memory: a list is not a size"),
    "memory-null": (vm("«memory: "), "memory has no value", "it is a size"),
    "cpus-zero": (vm("cpus: «0"), "cpus: '0' is out of range: allowed is 0.01 to 1000"),
    "cpus-text": (vm("cpus: «all"), "'all' is not a number of processors"),
    "timeout-number": (vm("timeout: «5"), "'5' is not a time: a number with ms, s, m or h"),
    "timeout-zero": (vm("timeout: «0s"), "out of range", "for no limit: none"),
    "timeout-long": (vm("timeout: «9999h"), "out of range: allowed is 1ms to 8760h"),
    "cpu-time": (vm("cpu_time: «2 s"), "'2 s' is not a time"),
    "pids-zero": (vm("pids: «0"), "pids: '0' is out of range"),
    "pids-text": (vm("pids: «many"), "'many' is not a whole number"),
    "pids-fraction": (vm("pids: «1.5"), "'1.5' is not a whole number"),
    "output-limit": (vm("output_limit: «0"), "output_limit: '0' is out of range"),
    "mount-form": (vm("profile: full, mount: [«/data]"), "has no absolute path inside the VM", "HOST:VM"),
    "mount-mode": (vm("profile: full, mount: [«/a:/b:rx]"), "ends in an unknown mode"),
    "mount-no-host": (vm("profile: full, mount: [«':/b']"), "has no path of the host"),
    "mount-dots": (vm("profile: full, mount: [«/a:/b/../c]"), "without '.', '..'"),
    "mount-tmp": (vm("profile: full, mount: [«/a:/tmp/x]"), "/tmp is the VM's own"),
    "mount-inside": (vm("profile: full, mount: [/a:/b, «/c:/b/d]"), "one may not be inside the other"),
    "mount-restricted": (vm("mount: «/a:/b"), "a mount needs the profile full"),
    "mount-long": (vm("profile: full, mount: [«/a:/" + "b" * 128 + "]"), "127 bytes at most"),
    "mount-many": (vm("profile: full, mount: [" + ", ".join(f"/a:/m{i}" for i in range(16)) + ", «/a:/x]"), "too many mounts"),
    "network-word": (vm("network: «host"), "network: 'host' is not none or fabric"),
    "network-none": (vm("network: «none, server: 80"), "has a port or a wire, and network: none"),
    "network-none-wire": (vm("network: «none, client: b"), "has a port or a wire"),
    "network-none-default": ("version: 1\ndefaults: {network: none}\nvms:\n  «a: {code: return, server: 80}\n", "has a port or a wire"),
    "unknown-key": (block("«retsart: always"), "unknown key 'retsart' in vms.a", "did you mean 'restart'?"),
    "unknown-environment": (block("«environment: {A: 1}"), "unknown key 'environment'", "did you mean 'env'?"),
    "unknown-volumes": (block("«volumes: [/a:/b]"), "unknown key 'volumes'", "did you mean 'mount'?"),
    "unknown-ports": (block("«ports: ['80:80']"), "unknown key 'ports'", "did you mean 'publish'?"),
    "unknown-far-vm": (block("«quux: 1"), "unknown key 'quux' in vms.a", "valid here: script, code, args, env, profile, memory, cpus, timeout, ..."),
    "belongs-top": (block("«defaults: {}"), "unknown key 'defaults' in vms.a", "this key belongs under the top level"),
    "belongs-health": (block("«retries: 3"), "unknown key 'retries'", "this key belongs under vms.<name>.health"),
    "belongs-restart": (block("«max_delay: 3s"), "unknown key 'max_delay'", "this key belongs under vms.<name>.restart"),
    "report-replicas": (vm("replicas: 2, report: «r.json"), "2 replicas cannot write one report"),
    "replicas-zero": (vm("replicas: «0"), "replicas: '0' is out of range"),
    "replicas-many": (vm("replicas: «10001"), "replicas: '10001' is out of range: allowed is 1 to 10000"),
    "replicas-sum": ("version: 1\nvms:\n  a: {code: return, replicas: 6000}\n  «b: {code: return, replicas: 6000}\n", "more than 10000 VMs"),
    "replica-clash": ("version: 1\nvms:\n  a: {code: return, replicas: 3}\n  «a-2: {code: return}\n", "a replica of 'a' (line 3) has this name too"),
    "replica-long": (f"version: 1\nvms:\n  «{'a' * 62}: {{code: return, replicas: 2}}\n", "is longer than 63 bytes"),
}

SUPERVISION = {
    "restart-word": (vm("restart: «allways"), "'allways' is not no, on-failure or always", "did you mean 'always'?"),
    "restart-false": (vm("restart: «false"), "'false' is not", "did you mean 'no'?"),
    "restart-list": (vm("restart: «[no]"), "restart: a list is not one of"),
    "restart-policy": (vm("restart: {policy: «sometimes}"), "restart.policy: 'sometimes' is not"),
    "restart-delay": (vm("restart: {delay: «fast}"), "restart.delay: 'fast' is not a time"),
    "restart-factor": (vm("restart: {factor: «0.5}"), "restart.factor: '0.5' is out of range: allowed is 1 to 100"),
    "restart-jitter": (vm("restart: {jitter: «0.25}"), "'0.25' is not a share, like 1%"),
    "restart-jitter-high": (vm("restart: {jitter: «101%}"), "out of range: allowed is 0% to 100%"),
    "restart-max": (vm("restart: {max: «-1}"), "'-1' is not a whole number"),
    "restart-within": (vm("restart: {within: «0s}"), "restart.within: '0s' is out of range"),
    "restart-reset": (vm("restart: {reset_after: «never}"), "'never' is not a time"),
    "restart-unknown": (vm("restart: {«attempts: 3}"), "unknown key 'attempts' in vms.a.restart", "valid here: policy, delay, factor"),
    "restart-delays": (vm("restart: {delay: «1m, max_delay: 1s}"), "the delay is longer than max_delay"),
    "health-text": (vm("health: «'return true'"), "health: 'return true' is not a map"),
    "health-missing": (vm("health: «{every: 1s}"), "vms.a.health: 'check' is missing"),
    "health-wrong": (vm("health: {check: «'if'}"), "the health check: line 1:"),
    "health-every": (vm("health: {check: 'true', every: «1ms}"), "health.every: '1ms' is out of range"),
    "health-retries": (vm("health: {check: 'true', retries: «0}"), "health.retries: '0' is out of range"),
    "health-unknown": (vm("health: {check: 'true', «interval: 1s}"), "unknown key 'interval' in vms.a.health", "did you mean 'every'?"),
    "watchdog": (vm("watchdog: «1ms"), "watchdog: '1ms' is out of range: allowed is 100ms to 24h"),
    "watchdog-word": (vm("watchdog: «yes"), "'yes' is not a time"),
    "depends-unknown": (vm("depends_on: [«bb]"), "vms.a.depends_on: there is no VM 'bb'", "did you mean 'b'?"),
    "depends-far": (vm("depends_on: [«server]"), "there is no VM 'server'", "known are a, b"),
    "depends-map-unknown": (vm("depends_on: {«nobody: ready}"), "there is no VM 'nobody'"),
    "depends-condition": (vm("depends_on: {b: «redy}"), "depends_on.b: 'redy' is not started, ready, healthy or completed", "did you mean 'ready'?"),
    "depends-null": (vm("depends_on: {b: «~}"), "depends_on.b has no value"),
    "depends-twice": (vm("depends_on: [b, «b]"), "'b' is here twice"),
    "depends-healthy": (vm("depends_on: {«b: healthy}"), "'b' has no health check, so it is never healthy"),
    "depends-completed": ("version: 1\nvms:\n  a: {code: return, restart: always}\n  b: {code: return, depends_on: {«a: completed}}\n", "never completes"),
    "depends-replica": (vm("depends_on: [«b-1]"), "there is no VM 'b-1'", "'b' has no replicas"),
    "depends-replica-high": ("version: 1\nvms:\n  a: {code: return, replicas: 3}\n  b: {code: return, depends_on: [«a-4]}\n", "there is no VM 'a-4'", "replicas 1 to 3"),
    "depends-itself": (vm("depends_on: [«a]"), "a circle: a -> a"),
    "depends-circle-2": ("version: 1\nvms:\n  a: {code: return, depends_on: [b]}\n  b: {code: return, depends_on: [«a]}\n", "a circle: a -> b -> a", "remove one"),
    "depends-circle-3": ("version: 1\nvms:\n  a: {code: return, depends_on: [b]}\n  b: {code: return, depends_on: {c: started}}\n  c: {code: return, depends_on: [«a]}\n", "a circle: a -> b -> c -> a"),
    "depends-circle-inner": ("version: 1\nvms:\n  a: {code: return, depends_on: [b]}\n  b: {code: return, depends_on: [c]}\n  c: {code: return, depends_on: [«b]}\n", "a circle: b -> c -> b"),
    "depends-circle-replica": ("version: 1\nvms:\n  a: {code: return, replicas: 2, depends_on: [b]}\n  b: {code: return, depends_on: [«a-1]}\n", "a circle: a -> b -> a"),
    "group-unknown-vm": (group("vms: [«c]"), "groups.g.vms: there is no VM 'c'"),
    "group-unknown-group": (group("vms: [a], groups: [«h]"), "there is no group 'h'"),
    "group-empty": (group("strategy: one_for_one").replace("  g:", "  «g:"), "groups.g is empty"),
    "group-strategy": (group("vms: [a], strategy: «one_for_al"), "is not one_for_one, one_for_all or rest_for_one", "did you mean 'one_for_all'?"),
    "group-escalate": (group("vms: [a], escalate: «never"), "is not parent or stop"),
    "group-max": (group("vms: [a], max: «x"), "groups.g.max: 'x' is not a whole number"),
    "group-twice": (group("vms: [b]") + "  h: {vms: [«b]}\n", "'b' is in group 'g' already"),
    "group-replica": (group("vms: [«a-1]"), "one of several replicas", "write 'a'"),
    "group-itself": (group("vms: [a], groups: [«g]"), "would be inside itself"),
    "group-circle": (group("groups: [h]") + "  h: {groups: [«g]}\n", "would be inside itself"),
    "group-two-parents": (group("groups: [i]") + "  h: {groups: [«i]}\n  i: {vms: [a]}\n", "'i' is in group 'g' already"),
    "group-text": ("version: 1\nvms: {a: {code: return}}\ngroups:\n  «g: a\n", "groups.g must be a map", "vms: [a, b]"),
    "group-unknown-key": (group("vms: [a], «members: [b]"), "unknown key 'members' in groups.g", "did you mean 'vms'?"),
}

NETWORK = {
    "server-zero": (vm("server: «0"), "'0' is out of range: a port is from 1 to 65535"),
    "server-high": (vm("server: «65536"), "out of range: a port is from 1 to 65535"),
    "server-text": (vm("server: «http"), "'http' is not a port"),
    "server-proto": (vm("server: «80/sctp"), "'80/sctp' is not a port"),
    "server-map": (vm("server: «{port: 80}"), "server: a map is not a port"),
    "server-twice": (vm("server: [80, «80]"), "port 80 is here twice", "served once"),
    "server-twice-p2p": (vm("server: 80, p2p: {port: «80}"), "port 80 is here twice"),
    "client-unknown": (vm("client: «bb"), "vms.a.client: there is no VM 'bb'", "did you mean 'b'?"),
    "client-itself": (vm("server: 80, client: «a"), "'a' would be wired to itself"),
    "client-no-server": ("version: 1\nvms:\n  a: {code: return, client: «b}\n  b: {code: return}\n", "'b' serves nothing", "add 'server: PORT' to vms.b"),
    "client-other-port": (vm("client: «b:81"), "'b' does not serve port 81", "it serves 80"),
    "client-udp": (vm("client: «b:80/udp"), "'b' does not serve port 80/udp"),
    "client-port": (vm("client: «b:http"), "does not end in a port"),
    "client-port-high": (vm("client: «b:70000"), "out of range: a port is from 1 to 65535"),
    "client-no-name": (vm("client: «':80'"), "names no VM"),
    "p2p-number": (vm("p2p: «9000"), "p2p: '9000' is not a map"),
    "p2p-no-port": (vm("p2p: «{peers: [b]}"), "vms.a.p2p: 'port' is missing"),
    "p2p-unknown": (vm("p2p: {port: 9000, peers: [«c]}"), "vms.a.p2p.peers: there is no VM 'c'"),
    "p2p-no-peer": (vm("p2p: {port: 9000, peers: [«b]}"), "'b' is no peer", "'client'"),
    "p2p-itself": (vm("p2p: {port: 9000, peers: [«a]}"), "'a' would be wired to itself"),
    "p2p-unknown-key": (vm("p2p: {port: 9000, «peer: [b]}"), "unknown key 'peer' in vms.a.p2p", "did you mean 'peers'?"),
    "publish-form": (vm("publish: «8080"), "has no port of the VM", "8080:80"),
    "publish-port": (vm("publish: [«0:80]"), "a port is from 1 to 65535"),
    "publish-vm-port": (vm("publish: [«8080:99999]"), "a port is from 1 to 65535"),
    "publish-name": (vm("publish: [«localhost:8080:80]"), "has no address of the host"),
    "publish-address": (vm("publish: [«1.2.3.400:8080:80]"), "has no address of the host"),
    "publish-twice": (vm("server: 80, publish: [8080:80, «8080:80]"), "port 8080 of the host is published already"),
    "publish-any": ("version: 1\nvms:\n  a: {code: return, publish: ['8080:80']}\n  b: {code: return, publish: [«'0.0.0.0:8080:80']}\n", "published already, by 'a' in line 3"),
    "publish-replicas": (vm("replicas: 2, publish: [«8080:80]"), "2 replicas cannot have the same port"),
    "wire-no-from": (wire("«to: b").replace("{«", "«{"), "wires[1]: 'from' is missing", "who connects"),
    "wire-no-to": (wire("«from: a, port: 80").replace("{«", "«{"), "wires[1]: 'to' is missing"),
    "wire-unknown-from": (wire("from: «x, to: b"), "wires: there is no VM 'x'"),
    "wire-unknown-to": (wire("from: a, to: «bb, port: 80"), "wires: there is no VM 'bb'", "did you mean 'b'?"),
    "wire-unknown-in-list": (wire("from: [a, «d], to: b"), "there is no VM 'd'"),
    "wire-itself": (wire("from: «b, to: b, port: 80"), "'b' would be wired to itself"),
    "wire-itself-replica": (wire("from: «a-1, to: a-1, port: 80"), "'a-1' would be wired to itself"),
    "wire-no-port": (wire("from: «a, to: c"), "'c' serves nothing, and no port is given", "add 'port: PORT'"),
    "wire-port": (wire("from: a, to: b, port: «eighty"), "wires[1].port: 'eighty' is not a port"),
    "wire-port-range": (wire("from: a, to: b, port: [80, «65536]"), "a port is from 1 to 65535"),
    "wire-proto": (wire("from: a, to: b, port: 80, proto: «icmp"), "proto: 'icmp' is not tcp or udp"),
    "wire-proto-twice": (wire("from: a, to: b, port: 53/udp, proto: «tcp"), "the port says udp, and proto says tcp"),
    "wire-proto-alone": (wire("from: a, to: b, proto: «udp"), "proto without port"),
    "wire-rate": (wire("from: a, to: b, rate: «10"), "'10' is not a rate"),
    "wire-rate-low": (wire("from: a, to: b, rate: «1bit"), "out of range: allowed is 8kbit to 100gbit"),
    "wire-rate-bytes": (wire("from: a, to: b, rate: «10MB"), "'10MB' is not a rate"),
    "wire-delay": (wire("from: a, to: b, delay: «20"), "'20' is not a time"),
    "wire-delay-long": (wire("from: a, to: b, delay: «2m"), "'2m' is not a time: a number with us, ms or s"),
    "wire-delay-range": (wire("from: a, to: b, delay: «61s"), "out of range: allowed is 0s to 1m"),
    "wire-loss": (wire("from: a, to: b, loss: «0.01"), "'0.01' is not a share"),
    "wire-loss-range": (wire("from: a, to: b, loss: «150%"), "out of range: allowed is 0% to 100%"),
    "wire-jitter-alone": (wire("from: a, to: b, jitter: «5ms"), "jitter without delay"),
    "wire-jitter-large": (wire("from: a, to: b, delay: 1ms, jitter: «5ms"), "the jitter is larger than the delay"),
    "wire-twice": (wire("from: a, to: b, port: 80") + "  - {from: «a, to: b, port: 80}\n", "is here twice; the first is in line 7"),
    "wire-twice-replica": (wire("from: a-1, to: b, port: 80") + "  - {from: «a-1, to: b, loss: 1%}\n", "is here twice"),
    "wire-unknown-key": (wire("from: a, to: b, «latency: 1ms"), "unknown key 'latency' in wires[1]", "did you mean 'delay'?"),
    "wire-belongs-vm": (wire("from: a, to: b, «memory: 4MiB"), "unknown key 'memory'", "this key belongs under vms.<name>"),
    "wires-many": ("version: 1\nvms:\n  a: {code: return, replicas: 400, p2p: {port: 1, peers: [«a]}}\n", "more than 100000 connections"),
}

VARIABLES = {
    "variable-without-quotes": (vm("memory: $«{BIOXEN_NO_SUCH}"), "is missing", "needs quotes"),
    "variable-without-quotes-in-list": (vm("args: [$«{HOME}]"), "is missing", "needs quotes"),
    "variable-unset": (block("memory: «${BIOXEN_NO_SUCH}"), "variable BIOXEN_NO_SUCH is not set", "${NAME:-default}"),
    "variable-inside": (block("args: pre-«${BIOXEN_NO_SUCH}-post"), "variable BIOXEN_NO_SUCH is not set"),
    "variable-no-name": (vm("args: ['«${}']").replace("'«", "«'"), "'${' needs a name", "write $$"),
    "variable-open": (vm("args: [«'${HOME']"), "needs a '}'"),
    "variable-nested": (vm("args: [«'${A:-${B}}']"), "no braces"),
    "variable-dash": (vm("args: [«'${A-x}']"), "needs a '}' or ':-default}'"),
    "variable-in-code": ("version: 1\nvms:\n  a:\n    code: |\n      local x = 1\n«      print('${BIOXEN_NO_SUCH}')\n", "variable BIOXEN_NO_SUCH is not set"),
    "variable-value": (block("memory: «${BIOXEN_TEST_WORD}"), "'lots' is not a size"),
    "variable-default": (vm("memory: «'${BIOXEN_NO_SUCH:-little}'"), "'little' is not a size"),
    "variable-bytes": (vm("args: [«'${BIOXEN_TEST_BYTES}']"), "the value of variable BIOXEN_TEST_BYTES is not UTF-8"),
    "variable-in-name": (top("name: «${BIOXEN_TEST_BLANK}"), "'a b' must be 1 to 63 letters"),
}


def cases() -> list[Case]:
    found = []
    for table in (SYNTAX, TEXT, TOP, VM, SUPERVISION, NETWORK, VARIABLES):
        for name, entry in table.items():
            text, line, column = place(entry[0])
            found.append(Case(name, text.encode(), line, column, entry[1], entry[2] if len(entry) > 2 else ""))
    for name, (text, line, column, message) in BYTES.items():
        found.append(Case(name, text, line, column, message, ""))
    return found
