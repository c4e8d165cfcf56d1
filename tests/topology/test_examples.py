"""The examples of config/, the JSON schema for editors and the reference: all of them agree with the table of keys."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from broken import BYTES, cases
from bxrun import Bioxen, build_directory

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))
SCHEMA = json.loads((ROOT / "config/bioxen.schema.json").read_text())


class Loader(yaml.SafeLoader):
    """As YAML 1.2 has it, which editors use: yes and no are texts."""


Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern if tag != "tag:yaml.org,2002:bool" else re.compile("^(true|false)$")) for tag, pattern in resolvers
             if tag not in ("tag:yaml.org,2002:timestamp",)]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def load(text: str) -> Any:
    return yaml.load(text, Loader)


def refused(document: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(document)]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(bx_any: Bioxen, path: Path) -> None:
    result = bx_any.call("check", "--json", path)
    assert (result.status, result.out) == (0, b""), result
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=bioxen.schema.json\n"), "editors find the schema"
    assert refused(load(text)) == []


def test_every_example_is_in_the_reference() -> None:
    text = (ROOT / "docs/topology.md").read_text()
    assert all(f"`config/{path.name}`" in text for path in EXAMPLES)


def test_the_examples_of_the_reference_are_in_order(bx: Bioxen) -> None:
    text = (ROOT / "docs/topology.md").read_text()
    block = re.search(r"\n\n((?:    .*\n)+)", text)
    assert block is not None
    for name in ("echo", "caller", "peer"):
        bx.write(f"{name}.lua", "return")
    path = bx.write("t.yaml", re.sub(r"(?m)^    ", "", block.group(1)))
    assert bx.call("check", path).status == 0
    assert refused(load(path.read_text())) == []


def test_schema_is_a_schema_and_knows_the_forms() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    document = load("{version: 1, vms: {a: {code: x, restart: no, memory: '${M}', timeout: none, cpu-time: 1s, server: [80, 81/udp], x-y: 1,"
                    " env: {A: 1, B: true}, depends_on: {b: ready}}, b: {script: b.lua, restart: {policy: always}}}}")
    assert refused(document) == []


# What only the parser can know: other keys, other values, YAML itself.
BEYOND = {"vm-name-address", "vm-name-number", "vm-name-localhost", "program-missing", "program-twice", "vms-empty",
          "merge-key"}


def test_schema_refuses_what_the_table_refuses() -> None:
    """A wrong key, a value of a wrong kind, or a key that is missing is found by an editor too."""
    wanted = [case for case in cases() if case.name not in BYTES and case.name not in BEYOND and b"${" not in case.text and
              re.search(r"unknown key|is missing|is not a (list|map|size|time|share|rate|port|number|whole number)", case.message)]
    seen = 0
    for case in wanted:
        try:
            document = load(case.text.decode())
        except (yaml.YAMLError, ValueError):
            continue
        assert refused(document), case.name
        seen += 1
    assert seen > 50


def test_what_is_made_from_the_table_is_up_to_date() -> None:
    program = Path(os.environ.get("BIOXEN_SCHEMA", build_directory().parent / "schema"))
    if not program.exists():
        pytest.skip("build/schema is not built: run make tests")
    done = subprocess.run([ROOT / "scripts/make-schema", "--check"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "BIOXEN_SCHEMA": str(program)})
    assert (done.returncode, done.stdout) == (0, ""), "run make schema"
