-- Before each script: `read` returns what a command reads of a key. One that holds no value of the command's kind was not
-- written by any version of ours: it is removed, and read as missing.
local pcall, WRONG_TYPE = redis.pcall, '^WRONGTYPE'
local function read(command, key, ...)
  local reply = pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    if string.find(reply.err, WRONG_TYPE) then
      redis.call('DEL', key)
    end
    return redis.call(command, key, ...)
  end
  return reply
end
