//! What a gateway makes up, in turn instead of at random: a benchmark does the same work each time.

use gateway_under_test::policy::Fresh;

/// Numbers request ids and tokens.
#[derive(Debug, Default)]
pub struct Numbered(u64);

impl Fresh for Numbered {
    fn request_id(&mut self) -> String {
        self.0 += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.0)
    }

    fn token(&mut self) -> String {
        self.0 += 1;
        format!("{:043}", self.0)
    }
}
