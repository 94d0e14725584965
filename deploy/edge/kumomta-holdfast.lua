-- KumoMTA: copy to /opt/kumomta/etc/policy/holdfast.lua and ask in init.lua:
--
--   local holdfast = dofile '/opt/kumomta/etc/policy/holdfast.lua'
--   kumo.on('smtp_server_message_received', function(msg, conn_meta)
--     holdfast.refuse(conn_meta:get_meta 'authn_id')
--     -- the node's own policy goes on here
--   end)
--
-- A suspension that the edge sets at the node stops delivery; this stops injection. An answer
-- counts for a second. Where the edge does not answer mail passes, and the log says so.
local kumo = require 'kumo'
local holdfast = { edge = os.getenv 'HOLDFAST_EDGE' or 'http://127.0.0.1:9997' }
local client

local function escape(text)
  return (string.gsub(text, '[^%w%-_.~]', function(c)
    return string.format('%%%02X', string.byte(c))
  end))
end

local function ask(account)
  local ok, status = pcall(function()
    client = client or kumo.http.build_client { timeout = '2 seconds' }
    local answer = client:get(holdfast.edge .. '/v1/status/account:' .. escape(account)):send()
    return string.match(answer:text(), '"status":"(%a+)"')
  end)
  if ok and status then
    return status
  end
  kumo.log_error('holdfast edge: no answer: ' .. tostring(status))
  return 'unavailable'
end

local status_of = kumo.memoize(ask, { name = 'holdfast_status', ttl = '1 second', capacity = 100000 })

-- refuse rejects the message of an account that is suspended.
function holdfast.refuse(account)
  if account and account ~= '' and status_of(account) == 'suspended' then
    kumo.reject(550, '5.7.1 This account is suspended. The account\'s owner has been sent what to do.')
  end
end

return holdfast
