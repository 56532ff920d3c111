//! A store in MongoDB, or what speaks its protocol, as DocumentDB does.
//!
//! No transaction is needed: the document of a batch is its commit. What travels with a batch is written before it, at
//! places that carry its random id, so that nothing is overwritten; a batch that loses its number leaves orphans, which
//! are removed where that is possible. All writes wait for a majority and its journals; all reads are of a majority's
//! data, from the primary.

mod fault;
mod names;
mod open;
mod reads;
mod store;
mod writes;

pub use store::Mongo;
