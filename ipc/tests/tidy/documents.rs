//! What documents name is there.

/// Paths that a document names and that do not exist: targets of links, and whatever in code begins with one of
/// `roots`, the folders at the root of the workspace. Blocks of code are left out, they may change the folder.
pub(crate) fn missing_paths(
    document: (&str, &str),
    roots: &[String],
    exists: impl Fn(&str) -> bool,
) -> Vec<String> {
    let (name, text) = document;
    let mut in_block = false;
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        in_block ^= line.trim_start().starts_with("```");
        if in_block {
            continue;
        }
        let rooted = |path: &&str| roots.iter().any(|root| path.starts_with(root.as_str()));
        let named = code(line).filter(rooted).chain(links(line));
        let missing = named.filter(|path| !exists(path));
        found.extend(missing.map(|path| format!("{name}:{}: no {path}", n + 1)));
    }
    found
}

/// The words between backticks.
fn code(line: &str) -> impl Iterator<Item = &str> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.flat_map(|span| span.split(|c: char| !(c.is_alphanumeric() || "_-./".contains(c))))
}

/// Where links within the workspace lead to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    targets
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|path| !path.is_empty() && !path.contains("://"))
}

#[cfg(test)]
fn caught(text: &str) -> Vec<String> {
    let roots = ["ipc/".to_owned(), ".ci/".to_owned()];
    missing_paths(("A.md", text), &roots, |path| {
        ["ipc/src", "B.md"].contains(&path)
    })
}

#[test]
fn a_path_that_is_not_there_is_caught() {
    assert_eq!(caught("\nsee `ipc/gone.rs`"), ["A.md:2: no ipc/gone.rs"]);
    assert_eq!(caught("`x`, `A=1 .ci/gone fmt`"), ["A.md:1: no .ci/gone"]);
    assert_eq!(caught("[a](C.md), [b](B.md)"), ["A.md:1: no C.md"]);
    for good in [
        "`ipc/src`, [b](B.md#part) and [c](https://example.com/ipc/x)",
        "ipc/gone in prose, `wire/gone.rs` and `a + ipc`",
        "```sh\n`ipc/gone`\n```",
    ] {
        assert_eq!(caught(good), [""; 0], "{good}");
    }
}
