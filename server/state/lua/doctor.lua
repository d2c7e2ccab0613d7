-- DOCTOR: runs each command that the other scripts run, on a key that holds nothing: it fails for a user who lacks a right.
-- KEYS: any. ARGV: channel. No process takes the empty message for one of its own.
redis.call('TIME')
-- First, since a full engine refuses only what comes before the first write; and what it replaces may be of any type.
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('GET', KEYS[1])
redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'f', '0')
redis.call('HGET', KEYS[1], 'f')
redis.call('HMGET', KEYS[1], 'f')
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], '')
