//! Rust text taken apart just far enough for the rules: what is code, what is comment, what is test.

/// One file, split into views of the same length and with the same line breaks.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Code alone: comments and the insides of literals are blank.
    pub(crate) code: String,
    /// Comments alone.
    pub(crate) comments: String,
    /// `code` without modules and items under `#[cfg(test)]`.
    pub(crate) shipped: String,
    /// What `shipped` leaves out; all of `code` for a file below `tests/`.
    pub(crate) tests: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        let (shipped, tests) = if is_test_file(path) {
            (blank(&code), code.clone())
        } else {
            split_tests(&code)
        };
        Self {
            path: path.into(),
            text: text.into(),
            code,
            comments,
            shipped,
            tests,
        }
    }

    /// `path:line: what`, for a byte offset into any view.
    pub(crate) fn finding(&self, at: usize, what: &str) -> String {
        let line = self.text[..at].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("/loom_tests.rs")
}

/// Byte offsets at which `word` stands as a whole identifier or path.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let joined = |left: Option<usize>| {
        let part = |at: usize| {
            bytes
                .get(at)
                .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        };
        left.is_some_and(|at| part(at) && part(at + 1))
    };
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !joined(at.checked_sub(1)) && !joined((at + word.len()).checked_sub(1)))
        .collect()
}

/// Every path below `root`, with `use` groups unfolded: `std::{io, sync::Arc}` gives `io` and `sync::Arc`.
pub(crate) fn paths_below(code: &str, root: &str) -> Vec<(usize, String)> {
    let root = format!("{root}::");
    let mut found = Vec::new();
    for at in words(code, &root) {
        unfold(code, at + root.len(), "", &mut found);
    }
    found
}

fn unfold(code: &str, at: usize, prefix: &str, found: &mut Vec<(usize, String)>) {
    let rest = &code[at..];
    if !rest.starts_with('{') {
        let end = rest.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
        let path = &rest[..end.unwrap_or(rest.len())];
        if let Some(head) = path
            .strip_suffix("::")
            .filter(|_| rest[path.len()..].starts_with('{'))
        {
            unfold(code, at + path.len(), &format!("{prefix}{head}::"), found);
        } else {
            found.push((at, format!("{prefix}{path}")));
        }
        return;
    }
    let mut depth = 0;
    for (i, c) in rest.char_indices() {
        if c == '{' {
            depth += 1;
        } else if c == '}' {
            depth -= 1;
        }
        let starts_item = depth == 1 && (c == '{' || c == ',');
        if starts_item {
            let next = at + i + 1;
            let skip = code[next..].len() - code[next..].trim_start().len();
            if !code[next + skip..].starts_with('}') {
                unfold(code, next + skip, prefix, found);
            }
        }
        if depth == 0 {
            return;
        }
    }
}

/// Splits into code and comments. Literals keep their quotes and lose their insides.
fn split(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut comments) = (blank(text).into_bytes(), blank(text).into_bytes());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = at + token_len(rest, at.checked_sub(1).map(|i| bytes[i]));
        if rest.starts_with(b"//") || rest.starts_with(b"/*") {
            comments[at..end].copy_from_slice(&bytes[at..end]);
        } else if end == at + 1 {
            code[at] = bytes[at];
        } else {
            (code[at], code[end - 1]) = (bytes[at], bytes[end - 1]);
        }
        at = end;
    }
    let ascii = |bytes: Vec<u8>| -> String {
        bytes
            .into_iter()
            .map(|b| if b.is_ascii() { char::from(b) } else { '?' })
            .collect()
    };
    (ascii(code), ascii(comments))
}

/// Length of the comment or literal at the front, or 1.
fn token_len(rest: &[u8], before: Option<u8>) -> usize {
    let until = |needle: &[u8], from: usize| {
        rest[from..]
            .windows(needle.len())
            .position(|w| w == needle)
            .map_or(rest.len(), |i| from + i + needle.len())
    };
    let in_word = before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_len(rest),
        [b'r', b'"' | b'#', ..] if !in_word || before == Some(b'b') => {
            let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return 1; // a raw identifier
            }
            let mut close = vec![b'"'];
            close.resize(1 + hashes, b'#');
            until(&close, 2 + hashes)
        }
        [b'"', ..] => escaped_len(rest, b'"'),
        [b'\'', b'\\', ..] => escaped_len(rest, b'\''),
        // A char such as 'x' or 'é', not a lifetime: closed within one character.
        [b'\'', ..] => rest[1..]
            .iter()
            .take(5)
            .position(|b| *b == b'\'')
            .map_or(1, |i| {
                let one_char =
                    std::str::from_utf8(&rest[1..=i]).is_ok_and(|s| s.chars().count() == 1);
                if one_char { i + 2 } else { 1 }
            }),
        _ => 1,
    }
}

fn escaped_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Splits code into what ships and what is under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn split_tests(code: &str) -> (String, String) {
    let (mut shipped, mut tests) = (code.to_owned().into_bytes(), blank(code).into_bytes());
    for start in ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(all(ipc_loom, test"]
        .iter()
        .flat_map(|a| words(code, a))
    {
        let end = start + item_len(&code[start..]);
        for i in start..end {
            tests[i] = code.as_bytes()[i];
            if shipped[i] != b'\n' {
                shipped[i] = b' ';
            }
        }
    }
    let text = |bytes| String::from_utf8(bytes).expect("code is ASCII");
    (text(shipped), text(tests))
}

/// Length of an item with its attributes: up to its `;`, or the end of its braces.
fn item_len(code: &str) -> usize {
    let mut depth = 0_i32;
    for (i, c) in code.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (c == ';' || c == '}') {
            return i + 1;
        }
    }
    code.len()
}

fn blank(text: &str) -> String {
    text.bytes()
        .map(|b| if b == b'\n' { '\n' } else { ' ' })
        .collect()
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "let a = \"un\\\"safe\"; // TODO\nlet b = r#\"x\"y\"#; /* a /* b */ c */ let c = 'x'; fn f<'a>() {}\n";
    let source = Source::new("ipc/src/a.rs", text);
    assert_eq!(source.code.len(), text.len());
    for word in ["unsafe", "TODO", "x", "y"] {
        assert!(
            words(&source.code, word).is_empty(),
            "{word} in {}",
            source.code
        );
    }
    for word in ["b", "c", "f", "a"] {
        assert!(
            !words(&source.code, word).is_empty(),
            "{word} not in {}",
            source.code
        );
    }
    assert_eq!(words(&source.comments, "TODO").len(), 1);
}

#[test]
fn only_test_items_count_as_tests() {
    let text =
        "fn ship() { a() }\n#[cfg(test)]\nmod tests {\n fn t() { b() }\n}\nfn more() { c() }\n";
    let source = Source::new("ipc/src/a.rs", text);
    assert!(words(&source.shipped, "a").len() == 1 && words(&source.shipped, "c").len() == 1);
    assert!(words(&source.shipped, "b").is_empty() && words(&source.tests, "b").len() == 1);
    assert!(words(&Source::new("ipc/tests/it/main.rs", text).shipped, "a").is_empty());
}

#[test]
fn a_whole_word_is_not_part_of_another() {
    assert_eq!(words("unsafe_code unsafe xunsafe", "unsafe"), [12]);
}

#[test]
fn use_groups_are_unfolded() {
    let paths =
        |code| -> Vec<String> { paths_below(code, "std").into_iter().map(|p| p.1).collect() };
    assert_eq!(
        paths("use std::{io, sync::{Arc, atomic::AtomicU8}, };  std::fs::read()"),
        ["io", "sync::Arc", "sync::atomic::AtomicU8", "fs::read"]
    );
    assert!(paths("mystd::io::x()").is_empty());
}
