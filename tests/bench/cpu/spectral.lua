-- Floating point: the spectral norm of an infinite matrix, cut at n.
local function a(i, j) local ij = i + j - 1 return 1.0 / (ij * (ij - 1) * 0.5 + i) end
local function times(n, x, y, transposed)
  for i = 1, n do
    local sum = 0
    for j = 1, n do sum = sum + x[j] * (transposed and a(j, i) or a(i, j)) end
    y[i] = sum
  end
end
local n, u, v, t = 240, {}, {}, {}
for i = 1, n do u[i] = 1 end
for _ = 1, 10 do
  times(n, u, t, false) times(n, t, v, true)
  times(n, v, t, false) times(n, t, u, true)
end
local uv, vv = 0, 0
for i = 1, n do uv, vv = uv + u[i] * v[i], vv + v[i] * v[i] end
print(string.format("%0.9f", math.sqrt(uv / vv)))
