//! Whether a command said what a page shows of it.

/// The first line that the page shows and the output does not have in this place; `exact`: figures, too.
///
/// Lines may be left out, and a line may end in "…". Unless `exact`, a number, its unit, an id and a bar are as good as any
/// other, since no two runs have the same.
pub(crate) fn missing<'a>(shown: &'a str, output: &str, exact: bool) -> Option<&'a str> {
    let plain = |line: &str| if exact { line.trim_end().to_owned() } else { masked(line) };
    let mut lines = output.lines().map(plain);
    shown.lines().filter(|line| !["", "…"].contains(&line.trim())).find(|line| {
        match line.trim_end().strip_suffix('…') {
            Some(beginning) => {
                let beginning = plain(beginning);
                !lines.any(|line| line.starts_with(beginning.trim_end()))
            }
            None => {
                let line = plain(line);
                !lines.any(|other| other == line)
            }
        }
    })
}

/// The line with everything taken out that differs from run to run.
fn masked(line: &str) -> String {
    let words =
        line.split_whitespace().filter(|word| !word.chars().all(|c| ('\u{2580}'..='\u{259f}').contains(&c)));
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        let after_number = kept.last().is_some_and(|before| before.ends_with('#'));
        let bare = word.trim_end_matches([',', ';', ':', '.', ')']);
        if after_number && ["ns", "µs", "ms", "s", "min", "h", "B", "KB", "MB", "GB"].contains(&bare) {
            if let Some(last) = kept.last_mut() {
                last.push_str(&word[bare.len()..]);
            }
        } else {
            kept.push(numbers(word));
        }
    }
    kept.join(" ")
}

/// The word with `#` in place of each number and id.
fn numbers(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let id = rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len());
        let number = rest.find(|c: char| !c.is_ascii_digit() && !".,:".contains(c)).unwrap_or(rest.len());
        let looks_like_id = id >= 8 && rest[..id].contains(|c: char| c.is_ascii_digit());
        let taken = match first {
            _ if looks_like_id && !text.ends_with(char::is_alphanumeric) => id,
            // Not the digits of names: p99, 2 of v2.
            '0'..='9' if number > 2 || !text.ends_with(char::is_alphabetic) => {
                rest[..number].trim_end_matches(['.', ',', ':']).len()
            }
            '0'..='9' => {
                text.push_str(&rest[..number]);
                rest = &rest[number..];
                continue;
            }
            _ => {
                text.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        text.push('#');
        rest = &rest[taken..];
    }
    text
}

#[test]
fn what_differs_from_run_to_run_is_taken_out() {
    for (line, expected) in [
        ("  lag p99                1.67 ms    2.00 s", "lag p99 # #"),
        (
            "phones/139 attempt 1: approval of request 8d243b86-81b1-4645-b268-bcea870ea0f9 was",
            "phones/# attempt #: approval of request # was",
        ),
        ("acknowledged at 7.084 s and lost", "acknowledged at # and lost"),
        ("gateway at ws://127.0.0.1:25977, 16.0 s", "gateway at ws://#, #"),
        ("port closed 28.0 ms, exited 29.5 ms", "port closed #, exited #"),
        ("noticed to approve   130 ms  23.4 %  ███", "noticed to approve # # %"),
        ("results/runs/20261126T120000Z-smoke", "results/runs/#T#Z-smoke"),
        ("not-paired: defaced, p99 of v2", "not-paired: defaced, p99 of v2"),
    ] {
        assert_eq!(masked(line), expected);
    }
}

#[test]
fn an_output_is_held_to_what_is_shown() {
    let output = "PASS: 3 ms\n  a   1\n  b   2\nfiles: here/17\n";
    assert_eq!(missing("PASS: 4 ms\n…\n b 7\nfiles: …", output, false), None);
    assert_eq!(missing("PASS: 4 ms\n  b 7\n  a 1\n", output, false), Some("  a 1"), "in this order");
    assert_eq!(missing("PASS: 4 ms\n", output, true), Some("PASS: 4 ms"));
    assert_eq!(missing("PASS: 3 ms\n  b   2\n", output, true), None);
    assert_eq!(missing("VIOLATED: 3 ms\n", output, false), Some("VIOLATED: 3 ms"));
    assert_eq!(missing("PASSED…\n", output, false), Some("PASSED…"));
}
