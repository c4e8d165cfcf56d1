-- needs: argparse
local argparse = require "argparse"
local parser = argparse("prog", "A program")
parser:argument("input", "Input file")
parser:option("-o --output", "Output", "a.out")
parser:option("-I --include"):count("*")
parser:flag("-v --verbose"):count("0-3"):target("level")
parser:command("add"):argument("what"):args("+")
local a = parser:parse{ "in.lua", "-vv", "-I", "x", "-Iy", "add", "1", "2" }
print(a.input, a.output, a.level, table.concat(a.include, ","), a.add, table.concat(a.what, ","))
print(parser:pparse{ "x", "--bad" })
print(parser:get_usage())
print(parser:get_help())
