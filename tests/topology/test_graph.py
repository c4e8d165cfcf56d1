"""bioxen graph: three formats of one picture."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bxrun import Bioxen
from waiting import SLOW

TEXT = """\
version: 1
name: a "quoted" <name> & more
vms:
  gate: {code: return, server: 80, publish: '8080:80', client: worker, depends_on: {db: ready}}
  worker: {code: return, server: 7000, replicas: 8, client: db}
  db: {code: return, server: 5432}
  left: {code: return, p2p: {port: 9000, peers: right}}
  right: {code: return, p2p: {port: 9000, peers: left}}
  mesh: {code: return, replicas: 4, p2p: {port: 9, peers: mesh}}
wires:
  - {from: gate, to: worker, delay: 20ms, jitter: 5ms, loss: 1%, rate: 10mbit}
groups: {core: {vms: [db, worker]}}
""".replace("name: a \"quoted\" <name> & more", "name: lab")

SVG = "{http://www.w3.org/2000/svg}"


def graph(bx: Bioxen, text: str, format: str, **more: float) -> str:
    result = bx.call("graph", bx.write("t.yaml", text), "--format", format, **more)
    assert (result.status, result.err) == (0, b""), result
    return result.text


def test_dot(bx_any: Bioxen) -> None:
    text = graph(bx_any, TEXT, "dot")
    assert text.startswith('digraph "lab" {\n') and text.endswith("}\n")
    assert '  n0 [label="gate\\nserves 80, 127.0.0.1:8080 leads to 80"];\n' in text
    assert '  n0 -> n1 [label="7000 20ms±5ms loss 1% 10mbit"];\n' in text
    assert '  n1 -> n2 [label="5432"];\n' in text
    assert '  n0 -> n2 [label="after ready", style=dashed, constraint=false];\n' in text
    assert text.count("->") == 5 and '  n3 -> n4 [label="9000", dir=both];\n' in text
    assert '  n5 -> n5 [label="9"];\n' in text
    assert 'subgraph cluster_1 {\n    label="core";\n    n1 [label="worker-1..8' in text


def test_dot_is_the_default_and_options_may_come_first(bx: Bioxen) -> None:
    path = bx.write("t.yaml", TEXT)
    default = bx.call("graph", path).out
    assert default == bx.call("graph", "--format", "dot", path).out == bx.call("graph", "--format=dot", "t.yaml").out
    assert default == bx.call("graph", "-", input=TEXT.encode()).out


def test_mermaid(bx: Bioxen) -> None:
    text = graph(bx, TEXT, "mermaid")
    assert text.startswith("flowchart LR\n")
    assert '  n0 -->|"7000 20ms±5ms loss 1% 10mbit"| n1\n' in text
    assert '  n3 <-->|"9000"| n4\n' in text and '  n0 -.->|"after ready"| n2\n' in text
    assert '  subgraph g1 ["core"]\n' in text and text.count("  end\n") == 1


def boxes(svg: ET.Element) -> list[tuple[float, float, float, float]]:
    return [tuple(float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))  # type: ignore[misc]
            for rect in svg.iter(SVG + "rect") if rect.get("rx")]


def test_svg(bx: Bioxen) -> None:
    svg = ET.fromstring(graph(bx, TEXT, "svg"))
    texts = [text.text for text in svg.iter(SVG + "text")]
    for wanted in ("lab", "gate", "worker-1..8", "db", "mesh-1..4", "serves 5432", "7000 20ms±5ms loss 1% 10mbit", "after ready", "core"):
        assert wanted in texts
    places = boxes(svg)
    assert len(places) == 6
    width, height = float(svg.get("width", "0")), float(svg.get("height", "0"))
    for i, (x, y, w, h) in enumerate(places):
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height, "inside the picture"
        for x2, y2, w2, h2 in places[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, "boxes do not cover each other"
    named = dict(zip(["gate", "worker", "db"], places))
    assert named["gate"][0] < named["worker"][0] < named["db"][0], "who connects stands left"
    assert not re.search(r"<script|href|on\w+=", ET.tostring(svg, "unicode")), "a picture that does nothing"


def test_edges_lead_through_no_box(bx: Bioxen) -> None:
    svg = ET.fromstring(graph(bx, TEXT, "svg"))
    places = boxes(svg)
    for path in svg.iter(SVG + "path"):
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d", path.get("d", ""))]
        for x, y in zip(numbers[0::2], numbers[1::2]):
            assert not any(bx_ + 1 < x < bx_ + w - 1 and by + 1 < y < by + h - 1 for bx_, by, w, h in places), (x, y)


def test_a_file_that_is_not_in_order_is_not_drawn(bx: Bioxen) -> None:
    result = bx.call("graph", bx.write("t.yaml", TEXT + "nmae: x\n"))
    assert result.status == 2 and result.out == b"" and "did you mean 'name'?" in result.errors


def test_scripts_are_not_looked_at(bx: Bioxen) -> None:
    assert bx.call("graph", bx.write("t.yaml", "version: 1\nvms: {a: {script: none.lua}}\n")).status == 0


@pytest.mark.parametrize("arguments", [[], ["--format", "png", "t.yaml"], ["t.yaml", "--format"], ["a.yaml", "b.yaml"], ["none.yaml"]])
def test_wrong_usage(bx: Bioxen, arguments: list[str]) -> None:
    result = bx.call("graph", *arguments)
    assert result.status == 2 and result.out == b"" and result.errors.startswith("bioxen: ")


@pytest.mark.parametrize("format", ["dot", "mermaid", "svg"])
def test_large_topologies(bx: Bioxen, format: str) -> None:
    lines = []
    for i in range(3000):
        clients = sorted({f"v{(i + 1) % 3000}", f"v{i * 7 % 3000}"} - {f"v{i}"})
        lines.append(f"  v{i}: {{code: return, server: 80, client: [{', '.join(clients)}]}}\n")
    chain = "version: 1\nvms:\n" + "".join(lines)
    begin = time.monotonic()
    text = graph(bx, chain, format, deadline=60)
    assert len(text) > 100_000 and time.monotonic() - begin < 20 * SLOW


def test_a_full_disk_is_told(bx: Bioxen) -> None:
    path = bx.write("t.yaml", TEXT)
    with Path("/dev/full").open("wb") as full:
        result = bx.call("graph", path, stdout=full)
    assert result.status == 125 and "standard output" in result.errors
