//! Pruning: which weights of a model become zero, and what that costs.
//!
//! ```text
//! model files -> weights -> rules -> masks -> (shared values) -> model files
//! ```
//!
//! Weights are what a model's graphs multiply by or look rows up in; a variable, its initial value
//! and its copies are one ([`crate::model::usage`]). A [`Rule`] says which of them go, from the numbers
//! alone; pruned elements become +0.0 (or the zero point of quantised integers), and so does −0.0.
//! The pruned model is an ordinary TensorFlow model of the same kind.
//!
//! ```
//! use tfzip::prune::{Rule, Weights};
//!
//! # fn main() -> tfzip::Result<()> {
//! let rule: Rule = "nm:2:4".parse()?;
//! let weights = Weights { values: &[0.1, -0.5, 0.3, 0.0, 1.0, 0.2, -0.3, 0.4], columns: 4 };
//! let pruned = rule.prune(&[weights])?;
//! let left: Vec<bool> = pruned[0].mask.iter().collect();
//! assert_eq!(left, [false, true, true, false, true, false, false, true]);
//! # Ok(())
//! # }
//! ```

mod assign;
mod mask;
mod masks;
mod numbers;
mod pass;
mod report;
mod rule;
mod select;
mod share;
mod sum;
mod weight;

pub use assign::{Assigned, ShareBits};
pub use glob::Pattern;
pub use mask::{Mask, Masks, TensorMask};
pub use masks::{Pruning, Weights};
pub use pass::{PruneOptions, Pruned, prune};
pub use report::{PruneReport, PrunedTensor};
pub use rule::Rule;
pub use select::{FoundBy, LeftAlone};

pub(crate) use masks::Ranked;
pub(crate) use pass::{find, without};
pub(crate) use weight::Weight;
