//! What operators and clients do, in words.

use super::{
    Approves, Backoff, By, DurationRange, GiveUp, Notices, OperatorPlan, OperatorState, ReconnectPolicy,
    Think, Upkeep,
};
use crate::scenario::show_duration;

/// What an operator does about requests, for example `on event, thinks 20ms..200ms`.
#[must_use]
pub fn describe_operator(operator: &OperatorPlan) -> String {
    let notices = match operator.notices {
        Notices::Event => "on event".to_owned(),
        Notices::List(every) => format!("listing every {}", show_duration(every)),
    };
    let think = match operator.think {
        Think::Uniform(times) => range(times),
        Think::LogNormal { median, p99 } => {
            format!("{} (median), 1 of 100 longer than {}", show_duration(median), show_duration(p99))
        }
        Think::Exponential { mean } => format!("{} on average", show_duration(mean)),
    };
    let mut words = vec![notices, format!("thinks {think}")];
    if operator.approves == Approves::Latest {
        words.push("approves the latest".to_owned());
    }
    if let Some(rate) = operator.rate_max {
        words.push(format!("decides {}", per_second(rate)));
    }
    if operator.by == By::CommandLine {
        words.push("by command line".to_owned());
    }
    if operator.state == OperatorState::Elsewhere {
        words.push("in another state directory".to_owned());
    }
    let Upkeep { rotate, revoke, remove } = operator.upkeep;
    for (verb, rate) in [("rotates", rotate), ("revokes", revoke), ("removes", remove)] {
        if let Some(rate) = rate {
            words.push(format!("{verb} {}", per_second(rate)));
        }
    }
    for (verb, share) in [("rejects", operator.reject_share), ("ignores", operator.ignore_share)] {
        if share > 0.0 {
            words.push(format!("{verb} {}%", percent(share)));
        }
    }
    words.join(", ")
}

/// What a client does after an attempt without a session, for example `tries again after 1s doubling to 30s`.
#[must_use]
pub fn describe_reconnect(policy: &ReconnectPolicy) -> String {
    if policy.gives_up_on_refusal == GiveUp::Always {
        return "gives up at the first refusal".to_owned();
    }
    let mut words = match policy.backoff {
        Backoff::Tight => "tries again at once".to_owned(),
        Backoff::Fixed(pause) => format!("tries again after {}", range(pause)),
        Backoff::Official { jitter } if jitter > 0.0 => {
            format!("tries again after 1s doubling to 30s, {}% of it random", percent(jitter))
        }
        Backoff::Official { .. } => "tries again after 1s doubling to 30s".to_owned(),
    };
    match policy.gives_up_on_refusal {
        GiveUp::Never => words.push_str(", whatever the answer"),
        GiveUp::UnlessPairing | GiveUp::PauseList => {}
        GiveUp::Always => {}
    }
    if policy.hints {
        words.push_str(", unless the answer says otherwise");
    }
    if let Some(told) = policy.told {
        words.push_str(&format!("; when not approved, waits until {} after its approval", range(told)));
    }
    if let Some(attempts) = policy.attempts_max {
        words.push_str(&format!(", {attempts} times at most"));
    }
    words
}

pub(super) fn range(range: DurationRange) -> String {
    if range.min == range.max {
        show_duration(range.min)
    } else {
        format!("{}..{}", show_duration(range.min), show_duration(range.max))
    }
}

fn per_second(rate: f64) -> String {
    if rate >= 1.0 {
        format!("{}/s", (rate * 100.0).round() / 100.0)
    } else {
        format!("{}/m", (rate * 6_000.0).round() / 100.0)
    }
}

fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}
