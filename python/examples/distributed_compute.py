#!/usr/bin/env python3
"""A computation that is spread over VMs: how many primes there are below a number.

    distributed_compute.py [LIMIT [WORKERS]]

Each item is a range of numbers; each worker is a VM that sieves one range after the other. The result is checked against
a sieve in Python.
"""

import math
import sys
import time

from pylua_bioxen_vm import VMManager

SIEVE = """
-- The primes in [first, last], by a sieve over that range alone.
local first, last = table.unpack(...)
local composite = {}
for divisor = 2, math.floor(math.sqrt(last)) do
    local start = math.max(divisor * divisor, (first + divisor - 1) // divisor * divisor)
    for multiple = start, last, divisor do composite[multiple] = true end
end
local count, sum = 0, 0
for number = math.max(first, 2), last do
    if not composite[number] then count, sum = count + 1, sum + number end
end
return {first = first, count = count, sum = sum}
"""


def ranges(limit: int, pieces: int) -> list[tuple[int, int]]:
    step = max(1, math.ceil(limit / pieces))
    return [(first, min(first + step, limit) - 1) for first in range(0, limit, step)]


def expected(limit: int) -> tuple[int, int]:
    prime = bytearray([0, 0]) + bytearray([1]) * (limit - 2)
    for divisor in range(2, math.isqrt(limit) + 1):
        if prime[divisor]:
            prime[divisor * divisor::divisor] = bytes(len(range(divisor * divisor, limit, divisor)))
    primes = [number for number in range(limit) if prime[number]]
    return len(primes), sum(primes)


def progress(done: int, total: int) -> None:
    filled = 40 * done // total
    end = "\n" if done == total else ""
    print(f"\r[{'#' * filled}{'.' * (40 - filled)}] {done}/{total}", end=end, flush=True)


def main() -> None:
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else None
    begin = time.perf_counter()
    with VMManager() as manager:
        found = manager.map(SIEVE, ranges(limit, 32), workers=workers, timeout="60s", on_progress=progress,
                            memory="64MiB")
    count, total = sum(part["count"] for part in found), sum(part["sum"] for part in found)
    print(f"{count} primes below {limit}, their sum is {total}, in {time.perf_counter() - begin:.2f} s")
    if (count, total) != expected(limit):
        sys.exit(f"wrong: it is {expected(limit)}")
    print("checked")


if __name__ == "__main__":
    main()
