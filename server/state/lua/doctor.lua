-- DOCTOR: runs each command that the other scripts run, on a key that holds nothing: who lacks a right for one learns it.
-- KEYS: any. ARGV: channel. The message is none that a process understands.
redis.call('TIME')
redis.call('DEL', KEYS[1]) -- of a doctor who got no further
redis.call('HSET', KEYS[1], 'f', '0')
redis.call('HGET', KEYS[1], 'f')
redis.call('HMGET', KEYS[1], 'f')
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('GET', KEYS[1])
redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], '')
