//! A store in Redis or Valkey, for who runs one that flushes each write.
//!
//! A batch is one script: seen whole or not at all, and in the append-only file before it is answered. Of each kind and
//! shard there is a hash of rows and, but for batches, whose numbers have no gaps, a sorted set that keeps the order of
//! keys. All names begin with the prefix in braces, so that they would hash to one slot.

mod address;
mod connect;
mod fault;
mod fit;
mod layout;
mod reads;
mod script;
mod store;
mod writes;

pub use store::Redis;
