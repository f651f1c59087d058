//! What each restart cost, and what became of approvals around it.

use super::Cells;
use super::grid::Table;
use crate::sweep::result::Row;

/// A column of figures: its heading, and its cell of a restart.
type Column = (&'static str, fn(&Cells<'_>) -> String);

/// A table of restarts.
pub(super) struct Section {
    heading: &'static str,
    about: &'static str,
    columns: &'static [Column],
}

pub(super) const OF_RESTARTS: [Section; 5] = [
    Section {
        heading: "From the signal",
        about: "",
        columns: &[
            ("port closed", |cells| cells.figure("port_closed")),
            ("exited", |cells| cells.figure("exited")),
            ("store loaded", |cells| cells.figure("store_loaded")),
            ("port open", |cells| cells.figure("port_open")),
            ("ready", |cells| cells.figure("ready")),
            ("first session", |cells| cells.figure("first_session")),
        ],
    },
    Section {
        heading: "The population is back",
        about: "Clients that held a session at the signal, and when shares of them held one again; attempts of each until then.",
        columns: &[
            ("held", |cells| cells.each("population")),
            ("lost", |cells| cells.each("sessions_lost")),
            ("50 %", |cells| cells.figure("back.p50")),
            ("90 %", |cells| cells.figure("back.p90")),
            ("99 %", |cells| cells.figure("back.p99")),
            ("all", |cells| cells.figure("back.all")),
            ("attempts", |cells| cells.figure("attempts_per_recovered_client")),
        ],
    },
    Section {
        heading: "Handshakes around the restart",
        about: "Intended start to answer, of those whose intended start lay in the second before the signal, from there until everyone was back, and after; unanswered: how many found nobody, or lost the connection, on average.",
        columns: &[
            ("before p50", |cells| cells.figure("handshakes.before.p50")),
            ("p99", |cells| cells.figure("handshakes.before.p99")),
            ("during p50", |cells| cells.figure("handshakes.during.p50")),
            ("p99", |cells| cells.figure("handshakes.during.p99")),
            ("after p50", |cells| cells.figure("handshakes.after.p50")),
            ("p99", |cells| cells.figure("handshakes.after.p99")),
            ("unanswered", |cells| cells.each("unanswered")),
        ],
    },
    Section {
        heading: "Approvals on their way at the signal",
        about: "Sums over repeats: sent before the signal and answered after it, or never.",
        columns: &[
            ("acknowledged", |cells| cells.count("in_flight.acknowledged")),
            ("refused", |cells| cells.count("in_flight.refused")),
            ("unknown", |cells| cells.count("in_flight.unknown")),
        ],
    },
    Section {
        heading: "The store",
        about: "What the gateway says of its store's thread: waiting for the lock, what a job waits in all, writing a commit (means a batch, a job, a commit), of the process before the signal and of the one after it; reading everything at the start. A real gateway says nothing of it.",
        columns: &[
            ("lock before", |cells| cells.figure("store.before.lock.mean")),
            ("after", |cells| cells.figure("store.after.lock.mean")),
            ("in all", |cells| cells.figure("store.after.lock.sum")),
            ("wait before", |cells| cells.figure("store.before.wait.mean")),
            ("after", |cells| cells.figure("store.after.wait.mean")),
            ("commit before", |cells| cells.figure("store.before.commit.mean")),
            ("after", |cells| cells.figure("store.after.commit.mean")),
            ("load", |cells| cells.figure("store.after.load")),
        ],
    },
];

pub(super) fn restarts(text: &mut String, rows: &[Row], section: &Section) {
    let mut table = Table::new(rows, true);
    let headings: Vec<&str> = section.columns.iter().map(|(heading, _)| *heading).collect();
    table.columns(&headings);
    for row in rows {
        for restart in &row.restarts {
            let cells = Cells { seen: &restart.seen, occurrences: restart.occurrences };
            table.row(row, Some(restart), section.columns.iter().map(|(_, cell)| cell(&cells)));
        }
    }
    table.write(text, section.heading, section.about);
}

/// What became of approvals that a restart came after.
pub(super) fn approvals(text: &mut String, rows: &[Row]) {
    let mut table = Table::new(rows, false);
    table.columns(&["acknowledged", "kept", "lost", "not known", "unanswered", "kept", "lost", "not known"]);
    for row in rows {
        let cells = Cells { seen: &row.run, occurrences: row.counted };
        let of = |end: &str, fate: &str| cells.count(&format!("approvals.{end}.{fate}"));
        table.row(
            row,
            None,
            ["acknowledged", "unknown"]
                .into_iter()
                .flat_map(|end| ["all", "let_in", "refused", "not_known"].map(|fate| of(end, fate))),
        );
    }
    let about = "Sums over repeats and restarts: approvals that were acknowledged before a process ended, and those that it never \
        answered. Kept: the next process let the device in; lost: it asked it for an approval.";
    table.write(text, "What became of approvals", about);
}
