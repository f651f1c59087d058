//! Recorded messages of real gateways, as the protocol's tests keep them.

/// OpenClaw 2026.2.19.
pub const OLD: &str = include_str!("../../protocol/fixtures/2026.2.19.jsonl");
/// OpenClaw 2026.9.6.
pub const NEW: &str = include_str!("../../protocol/fixtures/2026.9.6.jsonl");

/// Frames of the lines that contain `mark`.
pub fn frames<'a>(recorded: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    recorded.lines().filter(move |line| line.contains(mark)).filter_map(|line| {
        let (_, frame) = line.split_once(r#""frame":"#)?;
        // What stands beside a frame comes after it.
        let end = [r#","signedPayload":"#, r#","answers":"#, r#","answer":"#, r#","close":"#]
            .into_iter()
            .filter_map(|key| frame.find(key))
            .min()
            .unwrap_or(frame.len() - 1);
        frame.get(..end)
    })
}
