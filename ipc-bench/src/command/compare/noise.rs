//! How quiet the machine was.

use std::fs;
use std::process::Command;

/// Processes that wanted to run, averaged over the last minute; none where the system does not say.
pub(super) fn load_average() -> Option<f64> {
    if let Ok(text) = fs::read_to_string("/proc/loadavg") {
        return first_number(&text);
    }
    // macOS: `{ 1.23 1.10 0.98 }`.
    let mut sysctl = Command::new("sysctl");
    let output = sysctl.args(["-n", "vm.loadavg"]).output().ok()?;
    first_number(&String::from_utf8_lossy(&output.stdout))
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_systems_are_understood() {
        assert_eq!(first_number("0.42 0.30 0.19 2/94 123\n"), Some(0.42));
        assert_eq!(first_number("{ 1.23 1.10 0.98 }\n"), Some(1.23));
        assert_eq!(first_number("unknown"), None);
    }
}
