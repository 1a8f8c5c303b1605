//! Rules about single files. Each takes a file and names what is wrong with it.

use crate::source::{Source, paths_below, words};

const MAX_LINES: usize = 400;

pub(crate) const ALL: [fn(&Source) -> Vec<String>; 7] = [
    short,
    pure_wire,
    platform_in_sys,
    locks_through_the_door,
    nothing_left_to_do,
    logged_with_causes,
    honest_tests,
];

/// A file can be read in one sitting.
pub(crate) fn short(file: &Source) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= MAX_LINES {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines, at most {MAX_LINES}", file.path)]
}

/// `wire` has no IO, clock, lock, task or async, and knows nothing of ours but `limits` and itself.
pub(crate) fn pure_wire(file: &Source) -> Vec<String> {
    if !file.path.starts_with("ipc/src/wire/") {
        return Vec::new();
    }
    const WORDS: [&str; 12] = [
        "tokio",
        "mio",
        "nix",
        "libc",
        "rustix",
        "async",
        "await",
        "Mutex",
        "RwLock",
        "SystemTime",
        "Instant::now",
        "Condvar",
    ];
    const STD: [&str; 7] = ["os", "io", "net", "fs", "thread", "process", "env"];
    let code = &file.shipped;
    let mut found = Vec::new();
    for word in WORDS {
        found.extend(
            words(code, word)
                .iter()
                .map(|&at| file.finding(at, &format!("`{word}` in wire"))),
        );
    }
    for (at, path) in paths_below(code, "std") {
        let head = path.split("::").next().unwrap_or_default();
        if STD.contains(&head) || path.starts_with("sync") || path.contains("Atomic") {
            found.push(file.finding(at, &format!("`std::{path}` in wire")));
        }
    }
    for (at, path) in paths_below(code, "crate") {
        if !["limits", "wire"].contains(&path.split("::").next().unwrap_or_default()) {
            found.push(file.finding(at, &format!("`crate::{path}` in wire")));
        }
    }
    let out = if file.path == "ipc/src/wire/mod.rs" {
        "super::"
    } else {
        "super::super::"
    };
    found.extend(
        words(code, out)
            .iter()
            .map(|&at| file.finding(at, "a path out of wire")),
    );
    found
}

/// `unsafe` and the name of an operating system stand only in `sys`.
pub(crate) fn platform_in_sys(file: &Source) -> Vec<String> {
    if file.path.starts_with("ipc/src/sys/") {
        return Vec::new();
    }
    ["unsafe", "target_os", "target_vendor"]
        .iter()
        .flat_map(|word| {
            words(&file.code, word)
                .into_iter()
                .map(move |at| (at, word))
        })
        .map(|(at, word)| file.finding(at, &format!("`{word}` outside ipc/src/sys")))
        .collect()
}

/// Locks, atomics and `Arc` come from `crate::sync`, where loom can take their place. `sys` imports nothing of
/// ours and holds no state that tasks share, so it is left alone.
pub(crate) fn locks_through_the_door(file: &Source) -> Vec<String> {
    let exempt = ["ipc/src/sync.rs", "ipc/src/sys/"];
    if !file.path.starts_with("ipc/src/") || exempt.iter().any(|e| file.path.starts_with(e)) {
        return Vec::new();
    }
    const BEHIND: [&str; 8] = [
        "Arc", "Barrier", "Condvar", "Mutex", "RwLock", "Weak", "atomic", "mpsc",
    ];
    ["std", "core", "alloc"]
        .iter()
        .flat_map(|root| paths_below(&file.shipped, root))
        .filter(|(_, path)| {
            let mut parts = path.split("::");
            parts.next() == Some("sync") && parts.next().is_none_or(|p| BEHIND.contains(&p))
        })
        .map(|(at, path)| file.finding(at, &format!("`{path}` not through crate::sync")))
        .collect()
}

/// Nothing is left for later, and no lint is switched off without being missed once it is gone.
pub(crate) fn nothing_left_to_do(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for word in ["TODO", "FIXME", "XXX"] {
        found.extend(
            words(&file.comments, word)
                .iter()
                .map(|&at| file.finding(at, word)),
        );
    }
    for word in ["todo!", "unimplemented!", "#[allow(", "#![allow("] {
        found.extend(
            words(&file.code, word)
                .iter()
                .map(|&at| file.finding(at, word)),
        );
    }
    found
}

/// An error is logged as a `dyn Error`, which brings its causes along. What is `Display` is itself alone.
pub(crate) fn logged_with_causes(file: &Source) -> Vec<String> {
    ["%error", "%err", "%e", "%reason", "%refusal", "%failure"]
        .iter()
        .flat_map(|field| words(&file.shipped, field))
        .map(|at| file.finding(at, "an error logged without its causes"))
        .collect()
}

/// A test runs, and waits for an event or a clock of its own, never for time to pass.
pub(crate) fn honest_tests(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(
        words(&file.code, "#[ignore")
            .iter()
            .map(|&at| file.finding(at, "an ignored test")),
    );
    found.extend(
        words(&file.tests, "sleep")
            .iter()
            .map(|&at| file.finding(at, "`sleep` in a test")),
    );
    found
}

#[cfg(test)]
fn caught(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
    rule(&Source::new(path, text)).len()
}

#[test]
fn a_long_file_is_caught() {
    assert_eq!(caught(short, "ipc/src/a.rs", &"\n".repeat(400)), 0);
    assert_eq!(caught(short, "ipc/src/a.rs", &"\n".repeat(401)), 1);
}

#[test]
fn impurity_in_wire_is_caught() {
    for bad in [
        "use tokio::net::UnixStream;",
        "async fn f() {}",
        "fn f() { x.await }",
        "let now = Instant::now();",
        "let now = std::time::Instant::now();",
        "use std::time::SystemTime;",
        "fn f() { nix::unistd::close(3) }",
        "use libc::c_int;",
        "use std::os::fd::OwnedFd;",
        "use std::{fmt, io};",
        "use std::{\n    fmt,\n    net::{self, TcpStream},\n};",
        "use std::sync::{Arc, PoisonError};",
        "use std::sync::atomic::AtomicU8;",
        "fn f() { std::thread::yield_now() }",
        "struct A(Mutex<u8>);",
        "use crate::conn::Task;",
        "use crate::{limits::Limits, sync::Arc};",
        "use super::super::conn;",
    ] {
        assert_ne!(caught(pure_wire, "ipc/src/wire/a.rs", bad), 0, "{bad}");
        assert_eq!(caught(pure_wire, "ipc/src/conn/a.rs", bad), 0, "{bad}");
    }
    assert_eq!(
        caught(pure_wire, "ipc/src/wire/mod.rs", "use super::conn;"),
        1
    );
    for good in [
        "use std::time::{Duration, Instant};",
        "use std::{collections::VecDeque, fmt};",
        "use crate::{limits::Limits, wire::Frame};\nuse super::header::Header;",
        "/// Never calls `Instant::now` nor `.await`.\nconst A: &str = \"std::io\";",
        "#[cfg(test)]\nmod tests { use std::io; use super::super::conn; async fn f() {} }",
    ] {
        assert_eq!(caught(pure_wire, "ipc/src/wire/a.rs", good), 0, "{good}");
    }
}

#[test]
fn platform_code_outside_sys_is_caught() {
    for bad in [
        "unsafe { f() }",
        "#[cfg(target_os = \"linux\")] fn f() {}",
        "#[cfg(all(unix, not(target_vendor = \"apple\")))] fn f() {}",
        "if cfg!(target_os = \"macos\") {}",
        "#[cfg(test)] mod tests { unsafe fn f() {} }",
    ] {
        assert_eq!(caught(platform_in_sys, "ipc/src/peer.rs", bad), 1, "{bad}");
        assert_eq!(
            caught(platform_in_sys, "ipc/src/sys/linux.rs", bad),
            0,
            "{bad}"
        );
    }
    let good = "#![deny(unsafe_code)] // unsafe\nconst A: &str = \"unsafe target_os\";";
    assert_eq!(caught(platform_in_sys, "ipc/src/peer.rs", good), 0);
}

#[test]
fn a_lock_past_the_door_is_caught() {
    for bad in [
        "use std::sync::Arc;",
        "use std::{fmt, sync::{Mutex, OnceLock}};",
        "use std::sync;",
        "static A: std::sync::atomic::AtomicBool = x;",
        "use core::sync::atomic::AtomicU8;",
    ] {
        assert_eq!(
            caught(locks_through_the_door, "ipc/src/conn/a.rs", bad),
            1,
            "{bad}"
        );
        assert_eq!(
            caught(locks_through_the_door, "ipc/src/sync.rs", bad),
            0,
            "{bad}"
        );
        assert_eq!(
            caught(locks_through_the_door, "ipc/tests/it/main.rs", bad),
            0,
            "{bad}"
        );
    }
    for good in [
        "use crate::sync::{Arc, Mutex};",
        "use std::sync::{LazyLock, PoisonError};",
        "#[cfg(test)]\nmod tests { use std::sync::Arc; }",
    ] {
        assert_eq!(
            caught(locks_through_the_door, "ipc/src/conn/a.rs", good),
            0,
            "{good}"
        );
    }
}

#[test]
fn unfinished_code_is_caught() {
    for bad in [
        "// TODO: later",
        "/* FIXME */",
        "/// XXX",
        "fn f() { todo!() }",
        "fn f() { unimplemented!() }",
        "#[allow(dead_code)]\nfn f() {}",
        "#![allow(dead_code)]",
    ] {
        assert_eq!(caught(nothing_left_to_do, "ipc/src/a.rs", bad), 1, "{bad}");
    }
    let good = "#[expect(dead_code, reason = \"TODO\")]\nfn f() { x.unimplemented() }";
    assert_eq!(caught(nothing_left_to_do, "ipc/src/a.rs", good), 0);
}

#[test]
fn an_error_logged_without_its_causes_is_caught() {
    for bad in [
        r#"debug!(%error, "lost");"#,
        r#"tracing::warn!(uid, error = %error, "lost");"#,
        r#"info!(%path, %reason, "ended");"#,
        r#"info!(error = %error.kind(), "ended");"#,
    ] {
        assert_eq!(
            caught(logged_with_causes, "daemon-example/src/a.rs", bad),
            1,
            "{bad}"
        );
    }
    for good in [
        r#"debug!(error = &error as &dyn std::error::Error, "lost");"#,
        r#"debug!(%errno, %path, "%error");"#,
        "fn f() { total % error }",
        "#[cfg(test)]\nmod tests { fn f() { debug!(%error) } }",
    ] {
        assert_eq!(
            caught(logged_with_causes, "daemon-example/src/a.rs", good),
            0,
            "{good}"
        );
    }
}

#[test]
fn a_sleeping_or_ignored_test_is_caught() {
    for bad in [
        "#[cfg(test)]\nmod tests { fn f() { std::thread::sleep(d); } }",
        "#[cfg(test)]\nmod tests { async fn f() { tokio::time::sleep(d).await; } }",
        "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
    ] {
        assert_eq!(caught(honest_tests, "ipc/src/a.rs", bad), 1, "{bad}");
    }
    assert_eq!(
        caught(
            honest_tests,
            "ipc/tests/it/main.rs",
            "use tokio::time::sleep;"
        ),
        1
    );
    assert_eq!(
        caught(
            honest_tests,
            "ipc/src/a.rs",
            "async fn f() { time::sleep(d).await }"
        ),
        0
    );
    assert_eq!(
        caught(
            honest_tests,
            "ipc/tests/it/main.rs",
            "Command::new(\"sleep\")"
        ),
        0
    );
}
