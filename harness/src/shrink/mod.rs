//! The smallest scenario that still shows what a run showed: which cohorts, how many clients of each, which steps of their scripts, which
//! faults, steps of a story and operators.
//!
//! Pure: [`search`] proposes, whoever calls it runs the candidates and says what they showed.
//!
//! | module | what |
//! |---|---|
//! | [`symptom`] | what is looked for: a mismatch, or a loop that goes on |
//! | [`candidate`] | a part of a scenario, as a file that extends the whole |
//! | [`search`] | which part to try next |
//! | [`ddmin`] | the same for one list, whatever is in it |
//! | [`trials`] | a part is taken only if it shows it twice |

pub mod candidate;
pub mod ddmin;
pub mod search;
pub mod symptom;
pub mod trials;

pub use candidate::{Parts, WHOLE, text};
pub use ddmin::Ddmin;
pub use search::{Shown, smallest};
pub use symptom::{Showed, Symptom, choose, places, symptoms};
pub use trials::Trials;
