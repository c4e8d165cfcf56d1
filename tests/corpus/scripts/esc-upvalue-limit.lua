-- name: esc-upvalue-limit
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

if not load then print("DONE") return end
local names = {}
for i = 1, 190 do names[i] = "a" .. i end
local list = table.concat(names, ",")
load("local " .. list .. " local function f() local " .. list:gsub("a", "b") .. " return function() return " .. list .. "," .. list:gsub("a", "b") .. " end end")
load(("local function f() "):rep(180) .. "return x " .. ("end "):rep(180))
load("return " .. ("a."):rep(100000) .. "b")
load("f" .. ("()"):rep(100000))
load("x = " .. ("-"):rep(1000) .. "1")
load("x = " .. ("'a'.."):rep(300) .. "'b'")
load("return function(" .. ("a,"):rep(300) .. "b) end")
load("x = {" .. ("1,"):rep(100000) .. "}")
print("DONE")
