//! Builds the two programs and finds them.

use std::env;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::Trouble;

/// Where the programs of the pair are.
#[derive(Debug)]
pub(crate) struct Binaries {
    /// The daemon.
    pub(crate) daemon: PathBuf,
    /// The agent.
    pub(crate) agent: PathBuf,
}

/// Builds both with the cargo that runs this, in the same profile; cargo shows its progress.
pub(crate) async fn build() -> Result<Binaries, Trouble> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["build", "--bin", "daemon-example", "--bin", "agent-example"]);
    command.args(["-p", "daemon-example", "-p", "agent-example"]);
    command.arg("--message-format=json-render-diagnostics");
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // Cargo finds the workspace from here, wherever the demo is started.
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().map_err(Trouble::io("start cargo"))?;
    let output = child
        .wait_with_output()
        .await
        .map_err(Trouble::io("wait for cargo"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = |name| executable(&messages, name);
    match (
        output.status.success(),
        built("daemon-example"),
        built("agent-example"),
    ) {
        (true, Some(daemon), Some(agent)) => Ok(Binaries { daemon, agent }),
        _ => Err(Trouble::Build),
    }
}

/// The path of a program, from the messages of cargo: they know the target folder and the profile.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    artifacts
        .filter(|artifact: &serde_json::Value| artifact["target"]["name"] == name)
        .find_map(|artifact| Some(PathBuf::from(artifact["executable"].as_str()?)))
}

impl Binaries {
    /// Those that somebody else built. The programs are started in another folder, so paths are made whole.
    pub(crate) fn given(daemon: &Path, agent: &Path) -> Result<Self, Trouble> {
        let whole = |path: &Path| {
            path.canonicalize()
                .map_err(Trouble::io(format!("find {}", path.display())))
        };
        Ok(Self {
            daemon: whole(daemon)?,
            agent: whole(agent)?,
        })
    }

    /// Makes sure that every user can run the programs: copies them where that is not so now.
    pub(crate) fn reachable(self, folder: &Path) -> Result<Self, Trouble> {
        Ok(Self {
            daemon: reachable(self.daemon, folder)?,
            agent: reachable(self.agent, folder)?,
        })
    }
}

fn reachable(program: PathBuf, folder: &Path) -> Result<PathBuf, Trouble> {
    let is_open =
        |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    let copy = match program.file_name() {
        Some(name) if !program.ancestors().all(is_open) => folder.join(name),
        _ => return Ok(program),
    };
    let failed = || Trouble::io(format!("copy {} to {}", program.display(), copy.display()));
    fs::copy(&program, &copy).map_err(failed())?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).map_err(failed())?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_a_closed_folder_is_copied_and_another_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (closed, open) = (dir.path().join("closed"), dir.path().join("open"));
        for folder in [&closed, &open] {
            fs::create_dir(folder).unwrap();
        }
        let program = closed.join("program");
        fs::write(&program, "x").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let copy = reachable(program, &open).unwrap();
        assert_eq!(copy, open.join("program"));
        assert_eq!(
            fs::metadata(copy).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(
            reachable("/bin/sh".into(), &open).unwrap(),
            Path::new("/bin/sh")
        );
    }

    #[test]
    fn cargo_tells_where_a_program_is() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"agent-example"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"agent-example"},"executable":"/t/a"}"#,
        );
        assert_eq!(
            executable(messages, "agent-example"),
            Some(PathBuf::from("/t/a"))
        );
        assert_eq!(executable(messages, "daemon-example"), None);
    }
}
