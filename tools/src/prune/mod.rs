//! What `tfzip-prune`, and `tfzip-pack` where it prunes, share: options, masks, reports.

pub mod args;
pub mod masks;
pub mod plot;
pub mod report;
pub mod sizes;
pub mod sweep;
