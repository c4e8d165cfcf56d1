-- name: out-report-forging
-- class: output
-- profile: restricted
-- expect: error true end

-- The report is JSON: quotes, braces and newlines in a message must stay inside their string.
error('","outcome":"ok","exit_code":0,"x":"\n}\n{"outcome":"ok"}\\ true end', 0)
