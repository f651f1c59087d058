//! Clients that did the same, together.

use std::collections::BTreeMap;

use super::likeness::{Likeness, Page, like};
use super::parts::{Aside, Part, parts};
use super::rebuilt::{Client, Rebuilt, What};
use super::why::Why;

/// Cohorts that a scenario has at most, before clients are grouped more roughly.
const COHORTS_MAX: usize = 60;
/// Levels of grouping: the same count; counts within a factor of two; any count.
const ROUGHEST: u8 = 2;

/// One client's part in a cohort.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// The client in the log, from 0.
    pub(super) client: usize,
    pub(super) part: Part,
}

/// A cohort of the scenario.
#[derive(Debug, Clone)]
pub(super) struct Cohort {
    pub(super) name: String,
    pub(super) like: Likeness,
    /// In the order in which they came.
    pub(super) members: Vec<Member>,
    /// Some of its clients are known by a guess only.
    pub(super) guessed: bool,
}

impl Cohort {
    /// Refusals of all members together.
    pub(super) fn refusals(&self) -> u64 {
        self.members.iter().map(|member| u64::from(member.part.refusals)).sum()
    }
}

/// All clients of a log, grouped.
#[derive(Debug, Clone)]
pub(super) struct Grouped {
    pub(super) cohorts: Vec<Cohort>,
    pub(super) aside: Aside,
    /// The number of attempts is that of the log, client by client.
    pub(super) exact: bool,
    /// Origins that got past the gateway's check.
    pub(super) allowed: Vec<u32>,
    /// The gateway had a password.
    pub(super) password: bool,
}

/// Groups the clients.
pub(super) fn group(rebuilt: &Rebuilt) -> Grouped {
    let mut pages = Numbers::default();
    let shared = shared(rebuilt);
    let mut aside = Aside::default();
    let mut told = Vec::new();
    for (position, client) in rebuilt.clients.iter().enumerate() {
        for part in parts(client, &rebuilt.restarts, &mut aside) {
            let page = page(client, &mut pages);
            told.push((position, client, part, page));
        }
    }
    let mut allowed: Vec<u32> = told
        .iter()
        .filter(|(.., part, _)| part.why != Some(Why::Origin))
        .filter_map(|(.., page)| match page {
            Some(Page::Number(number)) => Some(*number),
            _ => None,
        })
        .collect();
    allowed.sort_unstable();
    allowed.dedup();
    let password = rebuilt.clients.iter().any(|client| {
        client.facts.auth.as_deref() == Some("password")
            || matches!(client.facts.why, Some(Why::PasswordMismatch | Why::PasswordMissing))
    });

    for roughness in 0..=ROUGHEST {
        let mut groups: BTreeMap<Likeness, Vec<Member>> = BTreeMap::new();
        for (position, client, part, page) in &told {
            let like = like(client, part, page.clone(), &shared, roughness);
            groups.entry(like).or_default().push(Member { client: *position, part: part.clone() });
        }
        if groups.len() > COHORTS_MAX && roughness < ROUGHEST {
            continue;
        }
        let mut cohorts: Vec<Cohort> = groups
            .into_iter()
            .map(|(like, mut members)| {
                members.sort_by_key(|member| (member.part.first, member.client));
                let guessed = members
                    .iter()
                    .any(|member| rebuilt.clients.get(member.client).is_some_and(|client| client.guessed));
                Cohort { name: String::new(), like, members, guessed }
            })
            .collect();
        cohorts.sort_by_key(|cohort| cohort.members.first().map(|member| (member.part.first, member.client)));
        name(&mut cohorts);
        return Grouped { cohorts, aside, exact: roughness == 0, allowed, password };
    }
    Grouped { cohorts: Vec::new(), aside, exact: false, allowed, password }
}

/// `ios-not-paired-approved`, with a number from the second on.
fn name(cohorts: &mut [Cohort]) {
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    for cohort in cohorts {
        let why = cohort.like.why.map_or("let-in", Why::slug);
        let end = if cohort.like.approved { "-approved" } else { "" };
        let stem = format!("{}-{why}{end}", cohort.like.persona);
        let number = taken.entry(stem.clone()).or_default();
        *number += 1;
        cohort.name = if *number == 1 { stem } else { format!("{stem}-{number}") };
    }
}

/// Numbers of addresses behind which somebody was locked out, and somebody else was, too: who shares one matters there.
fn shared(rebuilt: &Rebuilt) -> BTreeMap<String, u32> {
    let mut behind: BTreeMap<&str, (u32, bool)> = BTreeMap::new();
    for client in &rebuilt.clients {
        let Some(address) = &client.facts.forwarded else { continue };
        let (clients, locked) = behind.entry(address.as_str()).or_default();
        *clients += 1;
        *locked |= client.events.iter().any(|event| event.what == What::Refused(Why::RateLimited));
    }
    let mut numbers = Numbers::default();
    behind
        .into_iter()
        .filter(|(_, (clients, locked))| *clients > 1 && *locked)
        .map(|(address, _)| (address.to_owned(), numbers.of(address)))
        .collect()
}

fn page(client: &Client, pages: &mut Numbers) -> Option<Page> {
    match (&client.facts.origin, &client.facts.host) {
        (Some(origin), Some(host)) if origin.rsplit("//").next() == Some(host.as_str()) => Some(Page::Same),
        (Some(origin), _) => Some(Page::Number(pages.of(origin))),
        (None, _) if client.facts.why == Some(Why::Origin) => Some(Page::Absent),
        (None, _) => None,
    }
}

/// Numbers of texts, in the order in which they came.
#[derive(Debug, Default)]
struct Numbers(BTreeMap<String, u32>);

impl Numbers {
    fn of(&mut self, text: &str) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_add(1);
        *self.0.entry(text.to_owned()).or_insert(next)
    }
}
