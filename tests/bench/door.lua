-- One form after the other, none twice: `wrk ... -s door.lua URL -- WHAT ROUND TOKENS`. Figures as JSON at the end.
local made = 0

function setup(thread)
  made = made + 1
  thread:set("number", made)
end

function init(words)
  what, round = words[1], words[2]
  headers = { ["Content-Type"] = "application/x-www-form-urlencoded", ["Sec-Fetch-Site"] = "same-origin" }
  count = 0
  if what == "one-click" then
    tokens = {}
    for token in io.lines(words[3]) do tokens[#tokens + 1] = token end
    count = tonumber(words[4])
  end
end

function request()
  count = count + 1
  if what == "one-click" then
    return wrk.format("POST", "/u/" .. tokens[count % #tokens + 1], headers, "List-Unsubscribe=One-Click")
  end
  local path = what == "bare" and "/said" or "/subscribe"
  return wrk.format("POST", path, headers, "email=reader" .. round .. "-" .. number .. "-" .. count .. "%40example.org&homepage=")
end

function response(status)
  if status ~= 200 then wrong = (wrong or 0) + 1 end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"requests": %d, "microseconds": %d, "p50": %.1f, "p99": %.1f, "errors": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
