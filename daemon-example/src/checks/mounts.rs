//! Whether a file is stored somewhere, or made up by the kernel while it is read.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether `handle` stands for a file that holds its content. To read one of the kernel may take from it, as with
/// `/proc/kmsg`, or stop or start something.
///
/// The mounts of other namespaces, which a link through `/proc` leads to, are not known here: what is in one counts as
/// made up.
pub(super) fn is_stored(handle: BorrowedFd<'_>) -> io::Result<bool> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(kind(&info, &mounts).is_some_and(|kind| !MADE_UP.contains(&kind)))
}

/// The type of the file system that `info` is about, `proc_pid_fdinfo(5)` and `proc_pid_mountinfo(5)`.
fn kind<'a>(info: &str, mounts: &'a str) -> Option<&'a str> {
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    let mut mounts = mounts.lines().filter_map(|line| line.split_once(' '));
    let (_, mount) = mounts.find(|(mount, _)| *mount == id.trim())?;
    // Any number of fields may stand in front of the hyphen.
    let (_, kind) = mount.split_once(" - ")?;
    kind.split(' ').next()
}

const MADE_UP: [&str; 19] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "efivarfs",
    "fusectl",
    "mqueue",
    "nfsd",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_file_system_is_that_of_the_mount_of_the_file() {
        let mounts = "22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw\n\
            2 27 8:1 /a /a rw - ext4 /dev/sda1 rw\n";
        let kind = |info| kind(info, mounts);
        assert_eq!(kind("pos:\t0\nmnt_id:\t22\nino:\t3\n"), Some("proc"));
        assert_eq!(kind("mnt_id:\t2\n"), Some("ext4"));
        assert_eq!(kind("mnt_id:\t27\n"), None);
        assert_eq!(kind(""), None);
    }
}
