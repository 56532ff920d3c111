//! The scripts. Each looks before it writes, and the head moves last: one that ends early leaves nothing that is seen.
//!
//! The server refuses the first write of a script when it had no memory at its start, and none after the first, so
//! that no script runs out of memory half way.

use redis::Script;

/// Appends a batch. Answers `done`, `gone` (another store is there now), or the head it found.
///
/// Keys: store, head, batches, then rows and order of side, key, blob and ring. Arguments: id of the store, head before,
/// number, its field, id and row, whether there is a side, the side, then for each put: place of its hash in the keys, field, value.
const COMMIT: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'gone' end
local head = redis.call('GET', KEYS[2]) or '0'
if head ~= ARGV[2] then return head end
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
if ARGV[6] == '1' then
  redis.call('HSET', KEYS[4], ARGV[4], ARGV[7])
  redis.call('ZADD', KEYS[5], 0, ARGV[4])
end
for i = 8, #ARGV, 3 do
  local at = tonumber(ARGV[i])
  redis.call('HSET', KEYS[at], ARGV[i + 1], ARGV[i + 2])
  redis.call('ZADD', KEYS[at + 1], 0, ARGV[i + 1])
end
redis.call('SET', KEYS[2], ARGV[3])
return 'done'
";

/// Applies operations in order. Answers `done`, `gone`, or `fenced` where a later turn was begun.
///
/// Keys: store, latest turn, then rows and order of each kind and shard. Arguments: id of the store, the turn in decimal or
/// nothing, then for each operation: place of its hash in the keys, field, and the value behind `+`, or nothing to remove it.
/// Turns are compared as text: a number of Lua holds 53 bits.
const APPLY: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'gone' end
local turn = ARGV[2]
if turn ~= '' then
  local last = redis.call('GET', KEYS[2]) or ''
  if #last > #turn or (#last == #turn and last > turn) then return 'fenced' end
  if last ~= turn then redis.call('SET', KEYS[2], turn) end
end
for i = 3, #ARGV, 3 do
  local at = tonumber(ARGV[i])
  local field, value = ARGV[i + 1], ARGV[i + 2]
  if value == '' then
    if redis.call('HDEL', KEYS[at], field) == 1 then redis.call('ZREM', KEYS[at + 1], field) end
  elseif redis.call('HSET', KEYS[at], field, string.sub(value, 2)) == 1 then
    redis.call('ZADD', KEYS[at + 1], 0, field)
  end
end
return 'done'
";

/// One page of a scan. Answers id of the store, head, fields, values.
///
/// Keys: store, head, rows, order. Arguments: least, greatest, how many.
const SCAN: &str = r"
local fields = redis.call('ZRANGEBYLEX', KEYS[4], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local values = {}
for i = 1, #fields, 1000 do
  local some = redis.call('HMGET', KEYS[3], unpack(fields, i, math.min(i + 999, #fields)))
  for j = 1, #some do values[i + j - 1] = some[j] end
end
return { redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), fields, values }
";

/// Rows of several hashes at one moment. Answers id of the store, heads, then a list of values for each hash.
///
/// Keys: store, heads, hashes. Arguments: how many heads, then for each hash: how many fields, the fields. It is no
/// transaction of the protocol because a server without memory refuses those, also to read.
const ROWS: &str = r"
local answer = { redis.call('GET', KEYS[1]) }
local heads, at = tonumber(ARGV[1]), 2
for i = 2, heads + 1 do answer[i] = redis.call('GET', KEYS[i]) end
for i = heads + 2, #KEYS do
  local count, values = tonumber(ARGV[at]), {}
  for from = at + 1, at + count, 1000 do
    local some = redis.call('HMGET', KEYS[i], unpack(ARGV, from, math.min(from + 999, at + count)))
    for j = 1, #some do values[from - at + j - 1] = some[j] end
  end
  answer[i] = values
  at = at + count + 1
end
return answer
";

/// The scripts, with their digests.
pub(crate) struct Scripts {
    pub(crate) commit: Written,
    pub(crate) apply: Written,
    pub(crate) scan: Script,
    pub(crate) rows: Script,
}

/// A script that writes, in two forms.
pub(crate) struct Written {
    /// Refused when the server has no memory.
    pub(crate) usual: Script,
    /// Carried out past `maxmemory` too: for what takes rights or secrets away.
    pub(crate) sparing: Script,
}

impl Scripts {
    pub(crate) fn new() -> Scripts {
        let written = |code: &str| Written {
            usual: Script::new(code),
            sparing: Script::new(&format!("#!lua flags=allow-oom{code}")),
        };
        Scripts { commit: written(COMMIT), apply: written(APPLY), scan: Script::new(SCAN), rows: Script::new(ROWS) }
    }
}
