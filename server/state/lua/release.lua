-- RELEASE: gives up the lease of a read that failed, so that the next who waits may read at once.
-- KEYS: lease. ARGV: token, channel, id.
local lease = read('GET', KEYS[1])
if lease and string.match(lease, '^(%S+) ') == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' 0 released')
  return 1
end
return 0
