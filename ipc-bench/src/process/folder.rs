//! Folders that go when this program does, on a signal too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use tempfile::TempDir;

use crate::error::Error;
use crate::output::say;
use crate::workload::Flavor;

/// A folder for a socket that nobody else can reach.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Result<Self, Error> {
        static WATCHED: OnceLock<()> = OnceLock::new();
        if WATCHED.set(()).is_ok() {
            remove_on_signal()?;
        }
        let folder = tempfile::tempdir().map_err(Error::io("no folder for the socket"))?;
        open().insert(folder.path().to_owned());
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        open().remove(self.path());
    }
}

/// All that are there.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn open() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_on_signal() -> Result<(), Error> {
    let runtime = Flavor::CurrentThread.build()?;
    let stopped = {
        let _entered = runtime.enter();
        ipc::stop_signal().map_err(Error::io("signals cannot be waited for"))?
    };
    thread::spawn(move || {
        runtime.block_on(stopped);
        for folder in open().iter() {
            // What is left of it is in the folder for what may go.
            fs::remove_dir_all(folder).ok();
        }
        say("stopped by a signal");
        exit(1);
    });
    Ok(())
}
