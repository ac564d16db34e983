-- A store that was moved away, or is being moved, takes no step of a process
-- that serves. One that slept while it was moved would go on otherwise, and
-- send what the other store sends.
do
  local stage = call('HGET', P .. 'move', 'stage')
  if stage and stage ~= 'stayed' and stage ~= 'arrived' then
    return redis.error_reply('AWAY this store was moved away, or is being moved')
  end
end
