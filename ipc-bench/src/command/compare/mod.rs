//! ipc beside bare sockets and its peers, interleaved in one run.

mod compared;
mod counted;
mod goals;
mod judged;
mod matrix;
mod noise;
mod table;

use std::fs;
use std::path::PathBuf;
use std::thread::available_parallelism;

use self::compared::Compared;
use self::matrix::{Cell, Contender, Group, SMALL, cells};
use super::effort::{count, one_of, seconds};
use crate::error::Error;
use crate::output;
use crate::process::{Measured, Setup, measure};
use crate::progress::Progress;
use crate::report::Shown;
use crate::transport::Transport;
use crate::workload::Flavor;

/// What to compare, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A few cells and short measurements: shows that it runs, not how fast anything is
    #[arg(long)]
    quick: bool,
    /// Only these groups of cells
    #[arg(long, value_delimiter = ',')]
    only: Vec<Group>,
    /// Beside these peers; all by default
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = one_of(Transport::PEERS),
        default_values_t = Transport::PEERS.iter().copied()
    )]
    peers: Vec<Transport>,
    /// Runtimes of both sides, each compared with its like
    #[arg(
        long = "runtime",
        value_delimiter = ',',
        value_parser = one_of(Flavor::TOKIO),
        default_value = "multi_thread"
    )]
    runtimes: Vec<Flavor>,
    /// Bytes of the payload in cells that are not about large ones
    #[arg(long, default_value_t = SMALL)]
    payload: usize,
    /// How often each cell is measured, in an order that is new each time; 5, or 2 if quick
    #[arg(long, value_parser = count)]
    repetitions: Option<usize>,
    /// Seconds of each measurement; 1, or 0.2 if quick
    #[arg(long, value_parser = seconds)]
    duration: Option<f64>,
    /// The table of goals in Markdown: instead of the text, or to FILE beside it
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn compare(args: &Args) -> Result<(), Error> {
    let (here, file) = match &args.markdown {
        None => (false, None),
        Some(place) if output::is_output(place) => (true, None),
        Some(file) => (false, Some(file)),
    };
    if here && args.shown.is_json_printed() {
        return Err(Error::Unsupported(
            "JSON and Markdown on standard output at once",
        ));
    }
    let before = noise::load_average();
    let repetitions = args.repetitions.unwrap_or(if args.quick { 2 } else { 5 });
    let (entries, mut failed) = measure_all(args.plan(), repetitions);
    let after = noise::load_average();
    let mut found = counted::count(&args.only, repetitions, args.quick);
    failed.append(&mut found.failed);
    let compared = Compared::new(&entries, repetitions, found, [before, after]);
    if let Some(file) = file {
        fs::write(file, compared.markdown().join("\n") + "\n")
            .map_err(Error::io("the Markdown file cannot be written"))?;
    }
    let text = |_: &_| match here {
        true => compared.markdown(),
        false => compared.lines(),
    };
    args.shown.show_as(&compared.report, text)?;
    if here && args.shown.is_json_written() {
        output::print(&compared.markdown().join("\n"))?;
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::Unmeasured(failed.join("; ")))
    }
}

impl Args {
    /// All that is to be measured, in the order in which it is shown.
    fn plan(&self) -> Vec<Entry> {
        let seconds = self.duration.unwrap_or(if self.quick { 0.2 } else { 1.0 });
        let entry = |cell: Cell, contender: Contender| {
            let mut setup = cell.setup(contender, seconds);
            setup.pinning = setup.pinning.or_none();
            Entry {
                cell,
                name: contender.name(cell, &self.runtimes),
                setup,
                measured: Vec::new(),
            }
        };
        let mut cells = cells(&self.only, self.payload, self.quick);
        let cores = available_parallelism().map_or(1, usize::from);
        cells.retain(|cell| has_cores(*cell, cores));
        let of_cell = |cell: Cell| {
            let mut contenders = cell.contenders(&self.peers, &self.runtimes);
            if !self.quick {
                contenders.extend(goals::further(cell, &contenders));
            }
            contenders.into_iter().map(move |one| entry(cell, one))
        };
        cells.into_iter().flat_map(of_cell).collect()
    }
}

/// Whether there are cores enough for a cell; a word about it where there are not.
fn has_cores(cell: Cell, cores: usize) -> bool {
    let enough = cores >= cell.cores();
    if !enough {
        output::say(&format!("{cell}: skipped, this machine has too few cores"));
    }
    enough
}

/// One contender in one cell.
struct Entry {
    cell: Cell,
    name: String,
    setup: Setup,
    measured: Vec<Measured>,
}

/// Measures in an order that is new for each repetition: cells, and within a cell who takes part,
/// so that who is compared is measured at nearly the same time. What cannot be measured is left
/// out, and named.
fn measure_all(mut entries: Vec<Entry>, repetitions: usize) -> (Vec<Entry>, Vec<String>) {
    let mut failed = Vec::new();
    let setups = entries.iter().map(|entry| entry.setup.clone());
    let mut progress = Progress::new(&setups.collect::<Vec<_>>(), repetitions);
    for repetition in 1..=repetitions {
        for index in order(&entries) {
            let Some(entry) = entries.get_mut(index) else {
                continue;
            };
            // One that failed before has too few.
            if entry.measured.len() + 1 < repetition {
                continue;
            }
            let setup = &entry.setup;
            match measure(setup, &mut |tick, part| progress.show(setup, tick, part)) {
                Ok(measured) => entry.measured.push(measured),
                Err(error) => {
                    output::complain(&error);
                    failed.push(format!("{}: {}", entry.cell, entry.name));
                }
            }
            progress.next(&entry.setup);
        }
    }
    entries.retain(|entry| entry.measured.len() == repetitions);
    (entries, failed)
}

/// A new order of the entries, in which those of a cell stay together.
fn order(entries: &[Entry]) -> Vec<usize> {
    let mut cells = Vec::<Cell>::new();
    for entry in entries {
        if !cells.contains(&entry.cell) {
            cells.push(entry.cell);
        }
    }
    fastrand::shuffle(&mut cells);
    let mut order = Vec::with_capacity(entries.len());
    for cell in cells {
        let of_cell = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.cell == cell);
        let mut of_cell = of_cell.map(|(index, _)| index).collect::<Vec<_>>();
        fastrand::shuffle(&mut of_cell);
        order.extend(of_cell);
    }
    order
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<clap::ArgMatches, clap::Error> {
        let command = Args::augment_args(clap::Command::new("compare").no_binary_name(true));
        command.try_get_matches_from(arguments)
    }

    #[test]
    fn what_is_measured_anyway_is_no_peer_and_what_is_no_runtime_of_tokio_is_refused() {
        for argument in ["--peers=ipc", "--peers=raw_tokio", "--runtime=blocking"] {
            let error = parsed(&[argument]).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::InvalidValue);
        }
    }

    fn cells_of(arguments: &[&str]) -> Vec<(String, String, Flavor)> {
        let matches = parsed(arguments).unwrap();
        let plan = Args::from_arg_matches(&matches).unwrap().plan();
        let told = |entry: Entry| {
            let runtime = entry.setup.workload.runtime;
            (entry.cell.to_string(), entry.name, runtime)
        };
        plan.into_iter().map(told).collect()
    }

    #[test]
    fn a_full_run_measures_each_runtime_that_a_goal_is_about() {
        let [single, several] = [Flavor::CurrentThread, Flavor::MultiThread];
        for (arguments, expected) in [
            (&[][..], vec![("ipc", several), ("ipc/ct", single)]),
            (
                &["--runtime=current_thread"],
                vec![("ipc", single), ("ipc/mt", several)],
            ),
            (
                &["--runtime=current_thread,multi_thread"],
                vec![("ipc/ct", single), ("ipc/mt", several)],
            ),
            (&["--quick"], vec![("ipc", several)]),
        ] {
            let cells = cells_of(arguments);
            let found = cells
                .iter()
                .filter(|(cell, name, _)| cell == "64 in flight, 64 B" && name.starts_with("ipc"));
            let found = found.map(|(_, name, runtime)| (name.as_str(), *runtime));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{arguments:?}");
        }
        let in_others = cells_of(&[]);
        let in_others = in_others.iter().filter(|(_, name, _)| name == "ipc/ct");
        assert_eq!(in_others.count(), 1);
    }
}
