//! Summaries as a whole.

use std::path::Path;

use proptest::prelude::*;

use super::{summary, summary_in};
use crate::observation::Outcome;
use crate::oracle::MismatchKind;
use crate::plan::{Comparison, FaultKind};
use crate::record::test_support::{Story, busy_story, mismatch, outcomes, refusal_for, session, threshold};

/// 200 phones that are approved and hold a session.
fn smoke() -> Story {
    let mut story = Story::new(&[("phones", 200), ("local-cli", 20)]);
    story.plan.name = "smoke".to_owned();
    for client in 0..200 {
        let at = 10 * u64::from(client);
        let request = format!("request-{client}");
        story.attempt(client, 0).intended(at).started(at).answered(at + 8, refusal_for(&request));
        story.notice(0, client, &request, at + 9);
        story.approve(0, client, &request, at + 500, Some(at + 504));
        story.attempt(client, 1).intended(at + 1_008).started(at + 1_009).answered(at + 1_015, session());
    }
    for client in 200..220 {
        story.attempt(client, 0).intended(300).started(300).answered(304, session());
    }
    story.plan.thresholds = vec![threshold(
        "approval_to_session.p99 < 6s",
        "approval_to_session.p99",
        Comparison::Less,
        6_000_000.0,
    )];
    story
}

/// The section that begins so, and the empty line behind it.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let from = text.find(heading).expect("the section");
    let length = text[from..].find("\n\n").expect("another section");
    &text[from..from + length + 2]
}

#[test]
fn what_a_gateway_kept_is_said_where_nothing_else_is_wrong() {
    let mut result = smoke().result();
    result.verdict = crate::record::exit_code::RunVerdict::Violated;
    result.at_rest = Some(crate::record::at_rest::AtRest { handshakes_in_progress: 1, sessions: 0 });
    let text = summary(&result, false);
    assert!(
        text.starts_with(
            "VIOLATED (exit code 1): the gateway kept 1 handshake and 0 sessions when everyone had gone\n"
        ),
        "{text}"
    );
}

#[test]
fn a_stop_that_was_not_in_order_is_said_where_nothing_else_is_wrong() {
    let mut story = smoke();
    story.facts.unclean_stops = vec!["exit status: 101 after SIGTERM".to_owned()];
    let text = summary(&story.result(), false);
    assert!(
        text.starts_with(
            "VIOLATED (exit code 1): the gateway did not end in order: exit status: 101 after SIGTERM\n"
        ),
        "{text}"
    );
}

#[test]
fn a_run_that_passes() {
    let text = summary(&smoke().result(), false);
    assert!(text.lines().count() <= 57);
    insta::assert_snapshot!(text, @r#"
    PASS (exit code 0): every outcome was allowed
    smoke (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 12.3 s
    420 attempts = 220 sessions + 200 refused

    The generator's own error         measured      budget
      lag p99                          1.00 ms     50.0 ms
      late starts                        0.0 %           -  10.0 ms or more after their time: 0
      dropped starts                     0.0 %       1.0 %
      CPU of the busiest reactor         6.8 %      90.0 %
      reactor without a core             0.4 %      30.0 %  31 µs each time
      descriptors in use                 1.1 %      98.0 %  212 of 20000
      waiting for the history            0.0 %       5.0 %
      not judged                         0.0 %       5.0 %
      note: gateway and generator shared their cores: each slowed the other

    Thresholds
      met      approval_to_session.p99 < 6s: 515 ms

    Refusals                                expected  observed
      not-paired                                 200       200

    Cohorts                       clients got a session  attempts  refused  mismatches
      phones                          200           200       400      200           0
      local-cli                        20            20        20        0           0

    Latency                         count         p50         p90         p99       p99.9         max
      response, session               220     7.00 ms     7.00 ms     7.00 ms     7.00 ms     7.00 ms
      response, refused               200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
      service, session                220     6.00 ms     6.00 ms     6.00 ms     6.00 ms     6.00 ms
      service, refused                200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
        dial                          420        0 µs        0 µs        0 µs        0 µs        0 µs
        upgrade                       420        0 µs        0 µs        0 µs        0 µs        0 µs
        challenge                     420        0 µs        0 µs        0 µs        0 µs        0 µs
        verdict                       420     6.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
        close                         200     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms
      approval to session             200      515 ms      515 ms      515 ms      515 ms      515 ms

    From request to session           p50       p99    share
      phones (tries again at once, whatever the answer), approved by owner (on event, thinks 0s)
        before                    8.00 ms   8.00 ms           connect to known; not in the whole
        asked, not yet noticed    1.00 ms   1.00 ms    0.1 %  ▏
        noticed to approve         491 ms    491 ms   48.8 %  ████████████████████
        approve to acknowledged   4.00 ms   4.00 ms    0.4 %                      ▏
        to the next attempt        505 ms    505 ms   50.1 %                      ████████████████████
        attempt to session        6.00 ms   6.00 ms    0.6 %                                         ▏
        whole                      1.01 s    1.01 s  200 waited 1.01 s on average
        made them wait: people 48.8 % (491 ms), gateway 1.1 % (11.0 ms), client's pause 50.0 % (504 ms),
        this generator 0.1 % (1.00 ms)

    Costs
      1 reactor on 2 cores, CPU 840 ms (2.00 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
      at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
    "#);
}

#[test]
fn a_run_that_is_violated() {
    let text = summary_in(&busy_story().result(), false, Some(Path::new("results/runs/one")));
    insta::assert_snapshot!(text, @r#"
    VIOLATED (exit code 1): 4 outcomes are not allowed
    smoke (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 17.0 s
    176 attempts = 81 sessions + 53 refused + 41 without an answer (1 timed_out, 40 connection_refused)
    + 1 dropped

    The generator's own error         measured      budget
      lag p99                          2.00 ms     50.0 ms
      late starts                        0.0 %           -  10.0 ms or more after their time: 0
      dropped starts                     0.6 %       1.0 %  descriptors 1
      CPU of the busiest reactor         6.8 %      90.0 %
      reactor without a core             0.4 %      30.0 %  31 µs each time
      descriptors in use                 1.1 %      98.0 %  212 of 20000
      waiting for the history            0.0 %       5.0 %
      not judged                         0.6 %       5.0 %
      note: gateway and generator shared their cores: each slowed the other

    Not allowed
      1 x false_accept in tabs: expected AUTH_TOKEN_MISMATCH, saw session
          tabs/0 attempt 1: the client sent a token that is not the gateway's
      3 x false_reject in phones: expected session, saw not-paired
          phones/0 attempt 4: approval of request-0 was acknowledged at 0.30 s and nothing took it back
      a device's whole story:
        grep '"client":"tabs/0"' results/runs/one/violations.jsonl

    Thresholds
      NOT MET  mismatches == 0: 4
      met      approval_to_session.p99 < 6s: 705 ms

    Refusals                                expected  observed
      not-paired                                  40        43
          more than expected; approve the device: `devices list`, then `devices approve ID`
      AUTH_TOKEN_MISMATCH                         11        10

    Cohorts                       clients got a session  attempts  refused  mismatches
      phones                           40            40       163       43           3
      tabs                             10             1        13       10           1

    Latency                         count         p50         p90         p99       p99.9         max
      response, session                81     7.00 ms     12.0 ms     12.0 ms     12.0 ms     12.0 ms
      response, refused                53     9.00 ms     9.00 ms     9.00 ms     9.00 ms     9.00 ms
      service, session                 81     6.00 ms     10.0 ms     10.0 ms     10.0 ms     10.0 ms
      service, refused                 53     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
        dial                          134        0 µs        0 µs        0 µs        0 µs        0 µs
        upgrade                       134        0 µs        0 µs        0 µs        0 µs        0 µs
        challenge                     134        0 µs        0 µs        0 µs        0 µs        0 µs
        verdict                       134     8.00 ms     10.0 ms     10.0 ms     10.0 ms     10.0 ms
        close                          53     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms
      without an answer                41     2.00 ms     2.00 ms      10.0 s      10.0 s      10.0 s
      approval to session              40      705 ms      705 ms      705 ms      705 ms      705 ms

    From request to session           p50       p99    share
      phones (tries again at once, whatever the answer), approved by owner (on event, thinks 0s)
        before                    8.00 ms   8.00 ms           connect to known; not in the whole
        asked, not yet noticed    2.00 ms   2.00 ms    0.2 %  ▏
        noticed to approve         300 ms    300 ms   29.8 %  ████████████
        approve to acknowledged   4.00 ms   4.00 ms    0.4 %              ▏
        to the next attempt        695 ms    695 ms   69.0 %              ████████████████████████████
        attempt to session        6.00 ms   6.00 ms    0.6 %                                         ▏
        whole                      1.01 s    1.01 s  40 waited 1.01 s on average
        made them wait: people 29.8 % (300 ms), gateway 1.2 % (12.0 ms), client's pause 68.9 % (694 ms),
        this generator 0.1 % (1.00 ms)

    Restart `update` by SIGKILL at 3.00 s
      port closed 2.00 ms, exited 4.00 ms, new process 104 ms, port open 180 ms, first session 1.01 s
      40 clients held a session, 40 lost it; back: 50 % 1.20 s, 90 % 1.36 s, 99 % 1.40 s, all 1.40 s;
      2.0 attempts each

    Costs
      1 reactor on 2 cores, CPU 840 ms (4.77 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
      at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
    "#);
}

#[test]
fn a_run_that_is_invalid() {
    let mut story = smoke();
    story.attempt(0, 2).intended(1_000).started(4_000).answered(4_004, session());
    for client in 0..5 {
        story.attempt(client, 3).intended(1_000).started(4_000).answered(4_004, session()).indeterminate("");
    }
    story.fault("store", FaultKind::Reload, 2_000, Some(2_012));
    story.plan.time_scale = 0.1;
    let text = summary(&story.result(), false);
    let (waits, passing) = (section(&text, "From request to session"), summary(&smoke().result(), false));
    assert_eq!(waits, section(&passing, "From request to session"), "as many waited as long");
    insta::assert_snapshot!(text.replace(waits, ""), @r#"
    INVALID (exit code 4): the numbers cannot be trusted
    smoke (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 12.3 s
    426 attempts = 226 sessions + 200 refused

    The generator's own error         measured      budget
      lag p99                           3.00 s     50.0 ms  OVER
      late starts                        1.4 %           -  10.0 ms or more after their time: 6
      dropped starts                     0.0 %       1.0 %
      CPU of the busiest reactor         6.8 %      90.0 %
      reactor without a core             0.4 %      30.0 %  31 µs each time
      descriptors in use                 1.1 %      98.0 %  212 of 20000
      waiting for the history            0.0 %       5.0 %
      not judged                         1.2 %       5.0 %
      note: gateway and generator shared their cores: each slowed the other
      note: durations of gateway and clients were scaled by 0.1: latencies are not those of real time

    The numbers cannot be trusted
      the generator was late: p99 of its lag is 3.0 s, the budget 50.0 ms

    Thresholds
      met      approval_to_session.p99 < 6s: 515 ms

    Refusals                                expected  observed
      not-paired                                 200       200

    Cohorts                       clients got a session  attempts  refused  mismatches
      phones                          200           200       406      200           0
      local-cli                        20            20        20        0           0

    Latency                         count         p50         p90         p99       p99.9         max
      response, session               226     7.00 ms     7.00 ms      3.00 s      3.00 s      3.00 s
      response, refused               200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
      service, session                226     6.00 ms     6.00 ms     6.00 ms     6.00 ms     6.00 ms
      service, refused                200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
        dial                          426        0 µs        0 µs        0 µs        0 µs        0 µs
        upgrade                       426        0 µs        0 µs        0 µs        0 µs        0 µs
        challenge                     426        0 µs        0 µs        0 µs        0 µs        0 µs
        verdict                       426     6.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
        close                         200     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms
      approval to session             200      515 ms      515 ms      515 ms      515 ms      515 ms

    Other faults
      reload `store` at 2.00 s, over after 12.0 ms

    Costs
      1 reactor on 2 cores, CPU 840 ms (1.97 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
      at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
    "#);
}

#[test]
fn a_run_that_misses_a_threshold() {
    let mut story = smoke();
    story.plan.thresholds.push(threshold(
        "phases.response.p50 < 1ms",
        "phases.response.p50",
        Comparison::Less,
        1e3,
    ));
    let text = summary(&story.result(), false);
    assert!(text.starts_with("THRESHOLD (exit code 2): 1 of 2 thresholds not met\n"), "{text}");
    let at = text.find("Thresholds\n").expect("a section");
    assert!(
        text[at..].starts_with("Thresholds\n  NOT MET  phases.response.p50 < 1ms: 7.00 ms\n  met "),
        "{text}"
    );
}

#[test]
fn a_run_that_was_interrupted() {
    let mut story = Story::new(&[("phones", 2)]);
    story.attempt(0, 0).started(10).answered(14, session());
    story.attempt(1, 0).started(20).ended(21, Outcome::ConnectionRefused);
    story.facts.interrupted = true;
    story.facts.run_duration_ns = 2_500_000_000;
    story.facts.cores_shared = false;
    insta::assert_snapshot!(summary(&story.result(), false), @r#"
    INTERRUPTED after 2.50 s (exit code 130), until then PASS: every outcome was allowed
    hand-made (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 2.50 s
    2 attempts = 1 session + 0 refused + 1 without an answer (1 connection_refused)

    The generator's own error         measured      budget
      lag p99                             0 µs     50.0 ms
      late starts                        0.0 %           -  10.0 ms or more after their time: 0
      dropped starts                     0.0 %       1.0 %
      CPU of the busiest reactor         6.8 %      90.0 %
      reactor without a core             0.4 %      30.0 %  31 µs each time
      descriptors in use                 1.1 %      98.0 %  212 of 20000
      waiting for the history            0.0 %       5.0 %
      not judged                         0.0 %       5.0 %

    Cohorts                       clients got a session  attempts  refused  mismatches
      phones                            2             1         2        0           0

    Latency                         count         p50         p90         p99       p99.9         max
      response, session                 1     4.00 ms     4.00 ms     4.00 ms     4.00 ms     4.00 ms
      service, session                  1     4.00 ms     4.00 ms     4.00 ms     4.00 ms     4.00 ms
        dial                            1        0 µs        0 µs        0 µs        0 µs        0 µs
        upgrade                         1        0 µs        0 µs        0 µs        0 µs        0 µs
        challenge                       1        0 µs        0 µs        0 µs        0 µs        0 µs
        verdict                         1     4.00 ms     4.00 ms     4.00 ms     4.00 ms     4.00 ms
      without an answer                 1     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms

    Costs
      1 reactor on 2 cores, CPU 840 ms (420 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
      at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
    "#);
}

#[test]
fn a_run_that_failed() {
    let mut story = Story::new(&[("phones", 2)]);
    story.facts.failed =
        Some("the gateway exited with code 78 before it listened: paired.json does not parse".to_owned());
    story.facts.cores_shared = false;
    insta::assert_snapshot!(summary(&story.result(), false), @r#"
    FAILED (exit code 3): the gateway exited with code 78 before it listened: paired.json does not parse
    hand-made (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 12.3 s
    0 attempts = 0 sessions + 0 refused

    The generator's own error         measured      budget
      lag p99                                -     50.0 ms
      late starts                            -           -  10.0 ms or more after their time: 0
      dropped starts                         -       1.0 %
      CPU of the busiest reactor         6.8 %      90.0 %
      reactor without a core             0.4 %      30.0 %  31 µs each time
      descriptors in use                 1.1 %      98.0 %  212 of 20000
      waiting for the history            0.0 %       5.0 %
      not judged                             -       5.0 %

    The numbers cannot be trusted
      nothing was attempted

    Cohorts                       clients got a session  attempts  refused  mismatches
      phones                            2             0         0        0           0

    Costs
      1 reactor on 2 cores, CPU 840 ms, 31 MB; gateway CPU 1.31 s, 24 MB
      at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
    "#);
}

#[test]
fn colour_paints_the_verdict_and_nothing_else() {
    let result = smoke().result();
    let plain = summary(&result, false);
    let painted = summary(&result, true);
    assert!(painted.starts_with("\u{1b}[1;32mPASS (exit code 0)\u{1b}[0m: "));
    assert_eq!(painted.replace("\u{1b}[1;32m", "").replace("\u{1b}[0m", ""), plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_happened_it_fits_the_page(
        events in prop::collection::vec((0_u32..5, 0_usize..9, 0_u64..4_000, 0_u64..2_000, any::<bool>()), 0..60),
        name in "\\PC{0,120}",
        why in ".{0,300}",
    ) {
        let kinds = outcomes();
        let mut story = Story::new(&[(&name, 3), ("tabs", 2)]);
        for (attempt, (client, pick, start, took, wrong)) in events.iter().enumerate() {
            let builder = story.any_attempt(*client, attempt as u32, *start, *took, kinds[*pick].clone());
            if *wrong {
                builder.verdict(mismatch(MismatchKind::WrongReason, &[&why], &name, &why));
            }
        }
        let text = summary(&story.result(), false);
        for line in text.lines().filter(|line| !line.starts_with("    grep ")) {
            prop_assert!(line.chars().count() <= 100, "{}", line);
        }
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        prop_assert!(text.lines().count() <= 110);
    }
}
