//! What a close frame says.

use super::frame::FrameError;

/// A close frame as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'b> {
    /// Status code; none when the frame was empty. One that [is forbidden](Self::is_forbidden) is kept: a peer that sends it
    /// wants to close all the same, and what it said is worth knowing.
    pub code: Option<u16>,
    /// Reason, at most 123 bytes.
    pub reason: &'b str,
}

impl<'b> Close<'b> {
    /// Reads the payload of a close frame.
    pub(super) fn read(payload: &'b [u8]) -> Result<Self, FrameError> {
        match payload {
            [] => Ok(Self { code: None, reason: "" }),
            [_] => Err(FrameError::CloseOfOneByte),
            [high, low, reason @ ..] => Ok(Self {
                code: Some(u16::from_be_bytes([*high, *low])),
                reason: str::from_utf8(reason).map_err(|_| FrameError::CloseReasonUtf8)?,
            }),
        }
    }

    /// Whether the code is one that no endpoint may send: RFC 6455, section 7.4, and IANA's registry of close codes, which
    /// added 1012 to 1014. 1004, 1005, 1006 and 1015 are never sent; 0 to 999, 1016 to 2999 and 5000 on mean nothing.
    #[must_use]
    pub const fn is_forbidden(&self) -> bool {
        match self.code {
            None => false,
            Some(code) => !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_reason_are_read() {
        assert_eq!(Close::read(b""), Ok(Close { code: None, reason: "" }));
        assert_eq!(Close::read(b"\x03\xf0"), Ok(Close { code: Some(1008), reason: "" }));
        assert_eq!(Close::read("\u{3}\u{70}grüße".as_bytes()).unwrap().reason, "grüße");
        assert_eq!(Close::read(b"\x03"), Err(FrameError::CloseOfOneByte));
        assert_eq!(Close::read(b"\x03\xe8\xff"), Err(FrameError::CloseReasonUtf8));
    }

    #[test]
    fn codes_that_nobody_may_send_are_kept_and_told() {
        let forbidden = |code| Close { code: Some(code), reason: "" }.is_forbidden();
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert!(forbidden(code), "{code}");
            assert_eq!(Close::read(&code.to_be_bytes()).unwrap().code, Some(code));
        }
        for code in [1000, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999] {
            assert!(!forbidden(code), "{code}");
        }
        assert!(!Close { code: None, reason: "" }.is_forbidden());
    }
}
