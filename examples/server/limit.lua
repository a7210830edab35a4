-- For wrk: counts the answers by status, and holds each Retry-After of a 429 against the end of the minute.
--
--   wrk -t2 -c16 -d30s -s examples/server/limit.lua -H "X-API-Key: $KEY" http://localhost:8080/hello
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  accepted, refused, others, untrue = 0, 0, 0, 0
end

function response(status, headers)
  if status == 200 then
    accepted = accepted + 1
  elseif status == 429 then
    refused = refused + 1
    local wait, left = tonumber(headers["Retry-After"]), 60 - os.time() % 60
    -- The minute may have ended since the answer was written.
    if not wait or math.abs(wait - left) > 1 and not (wait <= 1 and left >= 59) then
      untrue = untrue + 1
    end
  else
    others = others + 1
  end
end

function done()
  local sum = { accepted = 0, refused = 0, others = 0, untrue = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(sum) do
      sum[name] = sum[name] + thread:get(name)
    end
  end
  print(string.format("accepted %d, refused %d, with an untrue Retry-After %d, other answers %d", sum.accepted, sum.refused, sum.untrue, sum.others))
end
