//! Which connection a line belongs to, and when it was.

use super::{Conn, Reading};
use crate::conform::format::Line;

/// How far two clocks of one machine and the time between sending and receiving may be apart, milliseconds.
const SLACK_MS: i64 = 8;

impl Reading {
    /// The time of a line on connection `index`.
    fn time(&self, index: usize, line: &Line) -> Option<i64> {
        if line.conn.is_some() {
            return i64::try_from(line.t_ms).ok();
        }
        let base = self.conns.get(index)?.base?;
        Some(base + i64::try_from(line.t_ms).ok()?)
    }

    pub(super) fn advance(&mut self, index: usize, line: &Line) {
        if let Some(at) = self.time(index, line) {
            self.now = self.now.max(at);
        }
        if let Some(conn) = self.conns.get_mut(index) {
            conn.last_ms = conn.last_ms.max(line.t_ms);
        }
    }

    /// The connection that a line belongs to: of those that `fits` allows, the one on which its time comes next.
    pub(super) fn owner(&self, line: &Line, fits: impl Fn(&Conn) -> bool) -> Option<usize> {
        if let Some(number) = line.conn {
            return self.conns.iter().position(|conn| conn.number == Some(number));
        }
        let mut best: Option<(i64, usize)> = None;
        for (index, conn) in self.conns.iter().enumerate() {
            // Within a connection time does not go back.
            if conn.closed || line.t_ms < conn.last_ms || !fits(conn) {
                continue;
            }
            // A connection without a challenge has no clock; it is the youngest, and its lines come at once.
            let at = self.time(index, line).unwrap_or(self.now);
            let score =
                if at + SLACK_MS < self.now { i64::MAX / 4 + self.now - at } else { (at - self.now).abs() };
            if best.is_none_or(|(other, _)| score <= other) {
                best = Some((score, index));
            }
        }
        best.map(|(_, index)| index)
    }
}
