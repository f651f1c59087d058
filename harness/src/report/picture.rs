//! The history of one device as a picture: an SVG file of its own, without scripts, fonts or anything to fetch.
//!
//! A dozen rectangles and texts need no library: what a drawing crate would add is a tree of elements to be built and
//! written again, and every browser reads what stands here.

use std::fmt::Write as _;

use super::page::steers;
use super::timeline::{Scale, contradicting, seconds, shown};
use crate::record::devices::{DeviceOperation, DeviceResult};

/// Pixels.
const WIDTH: u64 = 1100;
const LEFT: u64 = 90;
const BARS: u64 = 420;
const ROW: u64 = 24;
const TOP: u64 = 78;
/// Longest text in the picture, in characters.
const CHARS_MAX: usize = 150;

/// The picture; `None` if there is nothing to draw.
#[must_use]
pub fn svg(device: &DeviceResult) -> Option<String> {
    let operations = shown(device, usize::MAX);
    let scale = Scale::over(&operations)?;
    let height = TOP + ROW * (operations.len() as u64 + 2);
    let mut svg = String::new();
    // Writing into a text cannot fail.
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<title>{title}</title>
<rect width="{WIDTH}" height="{height}" fill="white"/>
<text x="10" y="22" font-size="16" font-weight="bold">{title}</text>
<text x="10" y="42">{why}</text>
<text x="10" y="60" fill="#555">{how}</text>
"##,
        title = escaped(&format!("{}: {}", device.client, device.verdict)),
        why = escaped(&device.why),
        how = escaped(&contradicting(device)),
    );
    axis(&mut svg, scale, height);
    for (row, operation) in (0..).zip(&operations) {
        bar(&mut svg, scale, TOP + ROW * row, operation);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn axis(svg: &mut String, scale: Scale, height: u64) {
    let bottom = height - ROW;
    for quarter in 0..=4 {
        let at = scale.from + (scale.until - scale.from) * quarter / 4;
        let x = LEFT + BARS * quarter / 4;
        let _ = writeln!(
            svg,
            r##"<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#ddd"/><text x="{x}" y="{y}" fill="#555" text-anchor="middle">{at}</text>"##,
            y = bottom + 16,
            at = seconds(at),
        );
    }
}

fn bar(svg: &mut String, scale: Scale, top: u64, operation: &DeviceOperation) {
    let x = |at: u64| LEFT as f64 + BARS as f64 * scale.share(at);
    let (from, until) = (x(operation.from_us), x(operation.until_us));
    let colour = match operation.by.as_str() {
        "device" => "#1f77b4",
        "operator" => "#2ca02c",
        "editor" => "#9467bd",
        _ => "#7f7f7f",
    };
    let opacity = if operation.decisive { "1" } else { "0.35" };
    let weight = if operation.decisive { "bold" } else { "normal" };
    let dashes = if operation.unanswered { r#" stroke-dasharray="4 3" fill-opacity="0.2""# } else { "" };
    let mark = if operation.decisive { "* " } else { "" };
    let what = escaped(&operation.what);
    let _ = writeln!(
        svg,
        r#"<g opacity="{opacity}"><title>{span}: {what}</title><text x="10" y="{y}" font-weight="{weight}">{mark}{by}</text><rect x="{from:.1}" y="{bar}" width="{width:.1}" height="12" rx="2" fill="{colour}" stroke="{colour}"{dashes}/><text x="{text}" y="{y}" font-weight="{weight}">{what}</text></g>"#,
        span = escaped(&format!("{} to {}", seconds(operation.from_us), seconds(operation.until_us))),
        y = top + 14,
        bar = top + 4,
        by = escaped(&operation.by),
        width = (until - from).max(3.0),
        text = LEFT + BARS + 16,
    );
}

/// A text for XML: cut, on one line, and nothing in it is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == CHARS_MAX {
            escaped.push('…');
            break;
        }
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c if steers(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::timeline::tests::lost_approval;
    use super::*;

    #[test]
    fn a_picture_has_a_bar_for_each_operation_and_no_markup_of_a_peer() {
        let picture = svg(&lost_approval()).expect("a picture");
        assert_eq!(picture.matches("<rect").count(), 1 + 4);
        assert_eq!(picture.matches("stroke-dasharray").count(), 1, "one was never answered");
        assert_eq!(picture.matches("font-weight=\"bold\">* ").count(), 2);
        assert!(picture.contains("refused &lt;not-paired&gt; &amp; &quot;r2&quot;"), "{picture}");
        for tag in ["g", "text", "title"] {
            let opened =
                picture.matches(&format!("<{tag}>")).count() + picture.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, picture.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn nothing_is_no_picture() {
        let mut device = lost_approval();
        device.operations.clear();
        assert_eq!(svg(&device), None);
    }

    #[test]
    fn a_peer_steers_nothing() {
        assert_eq!(escaped("a\u{1b}[31m\u{202e}b\u{ffff}\n"), "a [31m b  ");
        assert_eq!(escaped(&"x".repeat(500)).chars().count(), CHARS_MAX + 1);
    }
}
