-- EVENT: remembers an event of the webhook once its effect is there, or compares it with the one that is remembered.
-- KEYS: event. ARGV: hash of its body, lifetime in ms, remember (1 or 0). Returns "new", "same" or "different".
local known = read('GET', KEYS[1])
if known then
  return known == ARGV[1] and 'same' or 'different'
end
if ARGV[3] == '1' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 'new'
