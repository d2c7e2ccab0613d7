-- CHANGED: what was read, or is being read, of a call request may not be true any more.
--
-- A new epoch makes every STORE of a read that began before it fail. A final result stays: its truth cannot change.
-- KEYS: result, lease, epoch of one call request (one slot). ARGV: new epoch, its lifetime in ms, channel, id.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- First what a full engine takes, too: after a write of that kind it refuses no other in the same script.
redis.call('DEL', KEYS[2])
if read('HGET', KEYS[1], 'f') ~= '1' then
  redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' ' .. now .. ' changed')
return now
