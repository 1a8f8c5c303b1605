//! The folder the demo plays in, and what the daemon is to watch there and on this machine.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde_json::json;
use tempfile::TempDir;

use crate::Trouble;

/// A folder that goes away with this value.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
    /// One of the checks asserts that somebody listens here.
    listener: TcpListener,
}

impl Place {
    /// Makes the folder, open to the users of the agents where there are any.
    pub(crate) fn new() -> Result<Self, Trouble> {
        let (mode, base) = if geteuid().is_root() {
            // That of the environment may lead through folders that only root can enter.
            (0o755, PathBuf::from("/tmp"))
        } else {
            (0o700, short(std::env::temp_dir()))
        };
        // A socket is refused where a link is on the way to it.
        let folder = base
            .canonicalize()
            .and_then(|base| tempfile::Builder::new().prefix("drift-").tempdir_in(base))
            .map_err(Trouble::io("make a folder for the demo"))?;
        // Afterwards, because the umask has a say in the mode at birth.
        fs::set_permissions(folder.path(), Permissions::from_mode(mode))
            .map_err(Trouble::io("open the folder of the demo"))?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(Trouble::io("listen on a port"))?;
        let place = Self { folder, listener };
        fs::write(place.canary(), "").map_err(Trouble::io("write the canary"))?;
        place.set_canary(CALM)?;
        Ok(place)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where daemon and agents meet.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join("drift.sock")
    }

    /// Where a program logs.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.folder().join(format!("{program}.log"))
    }

    /// A home for an agent, its own and closed to others.
    pub(crate) fn home(&self, name: &str, uid: u32) -> Result<PathBuf, Trouble> {
        let home = self.folder().join(name);
        fs::create_dir(&home).map_err(Trouble::io("make a home"))?;
        fs::set_permissions(&home, Permissions::from_mode(0o700))
            .map_err(Trouble::io("close a home"))?;
        chown(&home, Some(uid), None).map_err(Trouble::io("give a home to its user"))?;
        Ok(home)
    }

    fn canary(&self) -> PathBuf {
        self.folder().join(CANARY)
    }

    /// Changes the file that one of the checks watches.
    pub(crate) fn set_canary(&self, mode: u32) -> Result<(), Trouble> {
        fs::set_permissions(self.canary(), Permissions::from_mode(mode))
            .map_err(Trouble::io("change the mode of the canary"))
    }

    /// Writes the configuration: what is true of this machine now should stay true.
    pub(crate) fn write_config(&self) -> Result<PathBuf, Trouble> {
        let passwd = fs::metadata(PASSWD).map_err(Trouble::io(format!("look at {PASSWD}")))?;
        let port = self
            .listener
            .local_addr()
            .map_err(Trouble::io("find the port"))?
            .port();
        // A JSON string is a TOML string too.
        let (socket, canary) = (json!(self.socket()), json!(self.canary()));
        let (mode, owner) = (passwd.mode() & 0o7777, passwd.uid());
        let text = format!(
            r#"
interval = "200ms"

[[check]]
name = "passwd"
file = {{ path = "{PASSWD}", mode = "{mode:04o}", owner = {owner} }}

[[check]]
name = "daemon"
process = {{ name = "daemon-example" }}

[[check]]
name = "port"
port = {{ port = {port} }}

[[check]]
name = "socket"
socket = {{ path = {socket} }}

[[check]]
name = "command"
command = {{ argv = ["true"] }}

[[check]]
name = "{CANARY}"
tolerance = 2
file = {{ path = {canary}, mode = "{CALM:04o}", owner = "self" }}

[[check]]
name = "home"
scope = "user"
file = {{ path = "{{home}}", mode = "0700", owner = "self" }}

[[check]]
name = "identity"
scope = "user"
command = {{ argv = ["id", "-u"], prints = "{{uid}}" }}
"#
        );
        let path = self.folder().join("drift.toml");
        fs::write(&path, text).map_err(Trouble::io("write the configuration"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o644))
            .map_err(Trouble::io("close the configuration"))?;
        Ok(path)
    }
}

/// Some folders for what is temporary are too deep for the address of a socket.
fn short(folder: PathBuf) -> PathBuf {
    if folder.as_os_str().len() <= LONGEST {
        folder
    } else {
        "/tmp".into()
    }
}

/// 103 bytes, which fit everywhere, without the demo's own folder and the name of the socket in it.
const LONGEST: usize = 80;

/// The check that the demo makes drift.
pub(crate) const CANARY: &str = "canary";

/// The mode the canary should have.
pub(crate) const CALM: u32 = 0o640;

/// Another mode.
pub(crate) const ALARMING: u32 = 0o666;

/// Every check; an agent that knows of all of them knows the state.
pub(crate) const CHECKS: [&str; 8] = [
    "passwd", "daemon", "port", "socket", "command", CANARY, "home", "identity",
];

const PASSWD: &str = "/etc/passwd";

#[cfg(test)]
mod tests {
    use daemon_example::checks::{Finding, Runner};
    use daemon_example::config::{Config, Scope};

    use super::*;

    #[tokio::test]
    async fn the_configuration_is_valid_and_the_canary_tells_when_it_drifts() {
        let place = Place::new().unwrap();
        let config = Config::read(&place.write_config().unwrap()).unwrap();
        let names: Vec<_> = config
            .entries
            .iter()
            .map(|entry| entry.check.name.as_str())
            .collect();
        assert_eq!(names, CHECKS);
        let canary = &config.entry(Scope::System, CANARY).unwrap().check;
        assert_eq!(canary.run(&Runner::current()).await, Finding::Holds);
        place.set_canary(ALARMING).unwrap();
        assert!(matches!(
            canary.run(&Runner::current()).await,
            Finding::Drifted(_)
        ));
    }
}
