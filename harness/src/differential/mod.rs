//! Stories that nobody thought of: drawn from a seed, told to one or two gateways, compared, and cut down to what matters.
//!
//! A [`Tale`] is a short sequence of steps about devices of its own, so that many tales can be told to one gateway one
//! after the other; a [`Book`] is such a collection, rendered as a scenario ([`mod@render`]). Nothing here does IO.
//!
//! | module | does |
//! |---|---|
//! | [`mod@tale`] | what a tale is: keys and values of the scenario language, not yet text |
//! | [`mod@draw`] | tales from a seed |
//! | [`mod@render`] | a book as a scenario file |
//! | [`mod@compare`] | what was seen at each step, without what may differ (ids, times), and where two gateways differ |
//! | [`mod@shrink`] | simpler versions of a tale |

pub mod compare;
pub mod draw;
pub mod render;
pub mod shrink;
pub mod tale;
#[cfg(test)]
mod tests;

pub use compare::{Difference, differences, faults};
pub use draw::draw;
pub use render::render;
pub use shrink::simpler;
pub use tale::{Book, Move, Tale, Value};
