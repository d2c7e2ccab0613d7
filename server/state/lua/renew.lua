-- RENEW: prolongs the lease of a read that is still in progress. KEYS: lease. ARGV: token, lease in ms.
local lease = read('GET', KEYS[1])
if lease and string.match(lease, '^(%S+) ') == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
