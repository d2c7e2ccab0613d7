-- NOW: the engine's clock in ms. Fails where nothing may be written: a server that is only a replica now is of no use.
-- KEYS: any key of the slot whose clock is meant; it holds nothing.
local time = redis.call('TIME')
redis.call('DEL', KEYS[1])
return time[1] * 1000 + math.floor(time[2] / 1000)
