//! `[gateway.config]` and the paths by which clients reach it.

use std::fmt::Write as _;

use super::super::cohorts::Grouped;
use super::super::likeness::Route;
use super::toml::quoted;

/// Writes them.
pub(super) fn gateway(text: &mut String, grouped: &Grouped) {
    let routes: Vec<&Route> = grouped.cohorts.iter().map(|cohort| &cohort.like.route).collect();
    let trusted = routes.iter().any(|route| matches!(route, Route::Trusted | Route::Shared(_)));
    if trusted || grouped.password || !grouped.allowed.is_empty() {
        text.push_str("\n[gateway.config.gateway]\n");
    }
    if trusted {
        text.push_str("trustedProxies = [\"127.2.0.1\"]\n");
    }
    if grouped.password {
        text.push_str("auth.mode = \"password\"\n");
    }
    if !grouped.allowed.is_empty() {
        let origins: Vec<String> = grouped.allowed.iter().map(|number| quoted(&origin(*number))).collect();
        let _ = writeln!(text, "controlUi.allowedOrigins = [{}]", origins.join(", "));
    }
    if routes.contains(&&Route::Trusted) {
        text.push_str(
            "\n[path.proxy]\nfrom          = \"127.2.0.1\"\nforwarded_for = \"each client its own\"\n",
        );
    }
    if routes.contains(&&Route::Untrusted) {
        text.push_str("\n[path.untrusted-proxy]                   # the log warns of it\nfrom          = \"127.3.0.1\"\nforwarded_for = \"each client its own\"\n");
    }
    if routes.contains(&&Route::ByName) {
        text.push_str("\n[path.by-name]                           # on loopback, under a name that is not local\nfrom = \"127.3.0.2\"\nhost = \"gateway.example.com\"\n");
    }
    let mut shared: Vec<u32> = routes
        .iter()
        .filter_map(|route| match route {
            Route::Shared(number) => Some(*number),
            _ => None,
        })
        .collect();
    shared.sort_unstable();
    shared.dedup();
    for number in shared {
        let address = crate::vocabulary::addresses::forwarded(number.saturating_sub(1));
        let _ = write!(
            text,
            "\n[path.shared-{number}]                         # an address of several clients, locked out\nfrom          = \"127.2.0.1\"\nforwarded_for = \"{address}\"\n"
        );
    }
}

/// What a page of the log is called.
pub(super) fn origin(number: u32) -> String {
    format!("https://page-{number}.example")
}
