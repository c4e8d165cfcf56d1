#!/usr/bin/env python3
"""Basic use: make VMs, run code in them, hand values over, meet errors, look at what a VM uses."""

from pylua_bioxen_vm import LuaError, VMManager, VMTimeoutError


def main() -> None:
    with VMManager() as manager:
        vm1 = manager.create_vm("vm1")
        vm2 = manager.create_vm("vm2", memory="16MiB", timeout="2s")

        print("square root:", vm1.execute("return math.sqrt(16)"))

        # Arguments are values; they are never part of the code. Several results are a tuple.
        order = {"item": "tea", "prices": [3, 4.5, 5]}
        total, count = vm1.execute("""
            local order, rate = ...
            local sum = 0
            for _, price in ipairs(order.prices) do sum = sum + price end
            return sum * (1 + rate), #order.prices
        """, order, 0.2)
        print(f"total: {total} for {count} prices")

        # What a chunk leaves in globals is there for the next one, in the same VM only.
        vm1.execute("function greet(name) return 'Hello, ' .. name .. '!' end")
        print(vm1.call("greet", "Ada"))
        print("greet in vm2:", vm2.execute("return greet"))

        # Output comes as it is printed, and is kept in the VM's logs.
        vm1.execute("for i = 1, 3 do print('line ' .. i) end", on_stdout=lambda text: print("vm1 says:", text, end=""))

        try:
            vm1.execute("local t = nil; return t.field")
        except LuaError as error:
            print("Lua error:", error)

        # The time limit ends the work; the VM goes on.
        vm2.execute("kept = 'still here'")
        try:
            vm2.execute("while true do end", timeout="100ms")
        except VMTimeoutError as error:
            print("timeout:", error)
        print("vm2:", vm2.execute("return kept"))

        futures = [vm.submit("return 6 * ...", 7) for vm in (vm1, vm2)]
        print("at the same time:", [future.result() for future in futures])

        stats = vm2.stats()
        print(f"vm2 uses {stats.memory // 1024} KiB and has used {stats.cpu_time:.1f} s of CPU time")
        print("VMs:", ", ".join(manager.vms))
    print("states after the block:", vm1.state, vm2.state)


if __name__ == "__main__":
    main()
