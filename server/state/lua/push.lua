-- PUSH: the effect of a result that the vendor pushed and signed; idempotent by its t and final.
--
-- KEYS: result, lease, epoch of one call request (one slot).
-- ARGV: 1 occurred in ms, 2 v, 3 final (1 or 0), 4 lifetime in ms, 5 new epoch, 6 its lifetime in ms, 7 channel, 8 id
-- A push is true from when it occurred, and never from later than now. Returns 1 when the result was kept, else 0.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local t = math.min(tonumber(ARGV[1]), now)
local known = read('HMGET', KEYS[1], 't', 'f')
local better = not (tonumber(known[1]) and known[2])
  or (ARGV[3] == '1' and known[2] ~= '1')
  or (ARGV[3] == known[2] and (t > tonumber(known[1]) or tonumber(known[1]) > now))
if not better then
  return 0
end
local arrived = string.format('%.0f', now)
redis.call('HSET', KEYS[1], 'v', ARGV[2], 't', string.format('%.0f', t), 'f', ARGV[3], 'a', arrived)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6])
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[7], ARGV[8] .. ' ' .. string.format('%.0f', t) .. (ARGV[3] == '1' and ' final' or ' result'))
return 1
