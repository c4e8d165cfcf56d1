-- name: esc-goto-and-attribs
-- class: lua-escape
-- profile: restricted
-- expect: ok DONE

if not load then print("DONE") return end
for _, s in ipairs{ "goto x", "::x:: ::x::", "do goto x local a ::x:: print(a) end", "local x <const> = 1 x = 2", "local x <foo> = 1", "local x <close>, y <close> = 1, 2", "break", "return return", "local function f() local a <close> = nil goto e ::e:: end",
    ("local a <const> = 1 "):rep(250), ("local a "):rep(201), ("goto l "):rep(10000) .. "::l::", "for i = 1, 2 do ::continue:: goto continue end return 1" } do
  load(s)
end
print("DONE")
