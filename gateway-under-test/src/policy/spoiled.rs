//! Refusals that a defect spoils on their way out.

use protocol::close::code;

use super::Refusal;
use crate::defect::Defect;

impl Refusal {
    /// The refusal as `defect` lets it out; unchanged if the defect is another one or none.
    #[must_use]
    pub fn spoiled(mut self, defect: Option<Defect>) -> Self {
        let details = self.error.as_mut().and_then(|error| error.details.as_mut());
        match (defect, details) {
            (Some(Defect::NoDetailCode), Some(details)) => details.code = None,
            (Some(Defect::NoRequestId), Some(details)) => details.request_id = None,
            (Some(Defect::CloseNormally), _) if self.close.code == code::POLICY => {
                self.close.code = code::NORMAL;
            }
            (Some(Defect::NoErrorFrame), _) => self.error = None,
            _ => {}
        }
        self
    }
}
