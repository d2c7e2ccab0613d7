-- STORE: keeps a result, unless something changed since its read began, or a better one is kept. Ends the lease.
--
-- KEYS: result, lease, epoch of one call request (one slot).
-- ARGV: 1 token, 2 t in ms, 3 epoch at TAKE, 4 v, 5 final (1 or 0), 6 lifetime in ms, 7 channel, 8 id
--       9 arrived: when the vendor's reply came, in ms
-- A final result beats one that is not, whatever their t, and never the other way; one from the future counts for
-- nothing. An epoch that is gone was evicted, perhaps one of a change: then nothing is kept.
-- Returns 1 when the result was kept, else 0.
local lease = read('GET', KEYS[2])
local ended = lease and string.match(lease, '^(%S+) ') == ARGV[1]
if ended then
  redis.call('DEL', KEYS[2])
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = 0
if read('GET', KEYS[3]) == ARGV[3] then
  local known = read('HMGET', KEYS[1], 't', 'f')
  local better = not (tonumber(known[1]) and known[2])
    or (ARGV[5] == '1' and known[2] ~= '1')
    or (ARGV[5] == known[2] and (tonumber(ARGV[2]) > tonumber(known[1]) or tonumber(known[1]) > now))
  if better then
    redis.call('HSET', KEYS[1], 'v', ARGV[4], 't', ARGV[2], 'f', ARGV[5], 'a', ARGV[9])
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
    kept = 1
  end
end
if kept == 1 then
  redis.call('PUBLISH', ARGV[7], ARGV[8] .. ' ' .. ARGV[2] .. (ARGV[5] == '1' and ' final' or ' result'))
elseif ended then
  redis.call('PUBLISH', ARGV[7], ARGV[8] .. ' 0 released')
end
return kept
