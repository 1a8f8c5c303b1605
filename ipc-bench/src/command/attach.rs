//! Somebody's own daemon under load.

use crate::attach::{self, Asked};
use crate::command::effort::Effort;
use crate::command::run::interleave;
use crate::error::Error;
use crate::process::Folder;
use crate::report::{Shown, report, row};
use crate::transport::Transport;
use crate::workload::{Flavor, Workload};

/// What to call, and how often.
#[derive(Debug, clap::Args)]
// What others call --json is the request here.
#[command(mut_arg("json", |json| json.long("output")))]
pub(crate) struct Args {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    effort: Effort,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn attach(args: &Args) -> Result<(), Error> {
    let Effort {
        runtime,
        repetitions,
        ..
    } = args.effort;
    if runtime == Flavor::Blocking {
        return Err(Error::Unsupported("attaching with the blocking client"));
    }
    let prepared = Flavor::CurrentThread
        .build()?
        .block_on(attach::prepare(&args.asked))?;
    let folder = Folder::new()?;
    let kind = Workload {
        payload: prepared.payload,
        attached: Some(prepared.attached(args.asked.place.clone(), folder.path())?),
        ..Workload::new(Transport::Ipc, runtime)
    };
    let setups = args.effort.setups(&[kind], &[])?;
    let mut measured = Vec::new();
    let whole = interleave(repetitions, &setups, &mut measured);
    let most = measured.iter().map(Vec::len).max().unwrap_or_default();
    if most == 0 {
        return whole;
    }
    let rows = setups.iter().zip(&measured);
    let rows = rows.filter(|(_, measured)| !measured.is_empty());
    let rows = rows.map(|(setup, measured)| {
        let mut row = row(setup, measured);
        if !prepared.is_echo {
            row.scenario.clone_from(&prepared.method);
        }
        row
    });
    // A daemon that ends takes nothing along that was measured before.
    let report = report(most, rows.collect(), Vec::new());
    args.shown.show(&report)?;
    whole
}
