//! Lines of limited width. Texts of the peer end here: control characters, which could steer a terminal, become spaces.

use super::units::plural;

/// Columns of the summary.
pub(super) const WIDTH: usize = 100;

/// A text under construction.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// One line, cut if it is too long.
    pub(super) fn line(&mut self, line: &str) {
        let clean = clean(line);
        let line = clean.trim_end();
        if line.chars().count() <= WIDTH {
            self.text.push_str(line);
        } else {
            self.text.extend(line.chars().take(WIDTH - 1));
            self.text.push('…');
        }
        self.text.push('\n');
    }

    /// One line that is never cut, because it is to be copied.
    pub(super) fn whole_line(&mut self, line: &str) {
        self.text.push_str(clean(line).trim_end());
        self.text.push('\n');
    }

    /// A paragraph whose lines start with `indent` spaces, of at most `lines_max` lines.
    pub(super) fn paragraph(&mut self, indent: usize, paragraph: &str, lines_max: usize) {
        let width = WIDTH - indent;
        let mut lines: Vec<String> = Vec::new();
        for word in clean(paragraph).split_whitespace() {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        if lines.len() > lines_max {
            lines.truncate(lines_max);
            if let Some(last) = lines.last_mut() {
                *last = last.chars().take(width - 2).collect();
                last.push_str(" …");
            }
        }
        for line in lines {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    /// A heading after an empty line.
    pub(super) fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.line(heading);
    }

    /// How many of `all` are not shown, if any, and where they are.
    pub(super) fn more(&mut self, all: usize, shown: usize, noun: &str) {
        if all > shown {
            let left_out = plural((all - shown) as u64, &format!("more {noun}"));
            self.line(&format!("  and {left_out}, see result.json"));
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Whether a character steers a terminal or turns the direction of writing: a peer's text must do neither.
#[must_use]
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page_and_none_steers_the_terminal() {
        let mut page = Page::default();
        page.line(&format!("a\u{1b}[31m\r\n{}", "ü".repeat(200)));
        page.paragraph(6, &"word ".repeat(100), 3);
        page.paragraph(6, &"x".repeat(300), 2);
        let text = page.finish();
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(text.lines().skip(1).all(|line| line.starts_with("      ")));
    }

    #[test]
    fn what_is_to_be_copied_stays_whole() {
        let mut page = Page::default();
        page.whole_line(&"y".repeat(300));
        assert_eq!(page.finish().trim_end().len(), 300);
    }
}
