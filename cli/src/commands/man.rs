//! `pairstorm man`: a manual page a command.

use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::{Arguments, ManArguments};
use crate::printer;

pub(crate) fn man(arguments: &ManArguments) -> ExitCode {
    let folder = &arguments.out;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    match std::fs::create_dir_all(folder).and_then(|()| write(command, folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer::error(&format!("the pages could not be written to {}: {error}", folder.display()));
            harness::record::exit_code::ExitCode::Failed.into()
        }
    }
}

/// Writes the pages of a command and of those below it.
fn write(command: Command, folder: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below.clone(), folder)?;
    }
    let page = Man::new(command).source(concat!("pairstorm ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(folder.join(page.get_filename()), with_lines_kept(&String::from_utf8_lossy(&text)))
}

/// The page with what stands last in `--help`, examples and tables of exit codes, kept line by line, and under a
/// heading that says so: `clap_mangen` has "EXTRA", and troff would fill the lines.
fn with_lines_kept(page: &str) -> String {
    let Some((before, after)) = page.split_once("\n.SH EXTRA\n") else {
        return page.to_owned();
    };
    let (kept, rest) = match after.split_once("\n.SH ") {
        Some((kept, rest)) => (kept, format!("\n.SH {rest}")),
        None => (after.trim_end(), "\n".to_owned()),
    };
    format!("{before}\n.SH EXAMPLES AND EXIT CODES\n.nf\n{kept}\n.fi{rest}")
}
