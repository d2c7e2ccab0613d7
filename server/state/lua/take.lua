-- TAKE: returns a result that is young enough, else grants the lease, else names the lease to wait for.
--
-- KEYS: result, lease, epoch of one call request (one slot).
-- ARGV: 1 max_age in ms, of a result that is not final; 0: read anew, without a lease
--       2 max_age in ms, of a final one
--       3 asked: a result of a read that began at or after this moment in ms serves whatever its age; 0: none does
--       4 token of the caller, which makes a repeated TAKE harmless
--       5 lease in ms
--       6 ignored: the t of a result that the caller could not decrypt or does not trust; empty: none
--       7 lifetime of the epoch in ms
--       8 came: the time of the caller's first TAKE in ms; 0: this is it
-- A result from the future was stored before a failover to a server whose clock is behind: it is not trusted.
-- A read that begins makes sure that there is an epoch, so that one that is lost before its STORE is noticed there.
-- A final result that was pushed late is as old as its arrival `a`: what it says cannot change.
-- What a caller waited for had arrived before it came when its STORE was late: then it serves if it was young enough.
-- Returns {"value", now, t, final, v, since, arrived}, whose age counts from `since` · {"lease", now, epoch} · {"fresh", now, epoch} · {"wait", now, begun, pttl}.
local MAX_VALUE_BYTES = 8388608 -- several times the largest reply of the vendor: none of ours is longer
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local max_age, final_max_age, asked = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local came = tonumber(ARGV[8])

local result = read('HMGET', KEYS[1], 't', 'f', 'v', 'a')
if result[3] and #result[3] > MAX_VALUE_BYTES then
  redis.call('DEL', KEYS[1])
  result = {}
end
if result[3] and tonumber(result[1]) and result[1] ~= ARGV[6] then
  local t, final = tonumber(result[1]), result[2] == '1'
  local arrived = math.max(t, tonumber(result[4]) or t)
  local since = final and arrived or t
  local young = now - since < (final and final_max_age or max_age)
  local waited_for = asked > 0 and t >= asked and (final or arrived > came - max_age)
  if (young or waited_for) and (final or t <= now) then
    return {'value', now, result[1], result[2], result[3], since, arrived}
  end
end

if max_age > 0 then
  local lease = read('GET', KEYS[2])
  local token, begun = string.match(lease or '', '^(%S+) (%d+)$')
  if token and token ~= ARGV[4] then
    return {'wait', now, begun, redis.call('PTTL', KEYS[2])}
  end
  redis.call('SET', KEYS[2], ARGV[4] .. ' ' .. now, 'PX', ARGV[5])
end
local epoch = read('GET', KEYS[3]) or ARGV[4]
redis.call('SET', KEYS[3], epoch, 'PX', ARGV[7])
return {max_age > 0 and 'lease' or 'fresh', now, epoch}
