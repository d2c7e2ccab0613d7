-- NOW: the engine's clock in ms. KEYS: any key of the slot whose clock is meant.
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
