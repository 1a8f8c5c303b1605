//! The lines of a comment: how far each is indented, and what it would begin.

/// One line, without white space in front.
pub(super) struct Line {
    /// Beyond the margin of the comment.
    pub(super) depth: usize,
    pub(super) content: String,
}

/// The lines of `comment`, of which the leftmost begins at the margin.
///
/// To prost-build no space in front is as good as one; and what is one further in is as far as prost-build can have it.
pub(super) fn read(comment: &str) -> Vec<Line> {
    let lines = comment.lines().map(indentation);
    let lines = lines.map(|(column, content)| (column.max(1), content));
    let filled = lines.clone().filter(|(_, content)| !content.is_empty());
    let margin = filled.map(|(column, _)| column).min().unwrap_or_default();
    lines
        .map(|(column, content)| Line {
            depth: match column.saturating_sub(margin) {
                1 => 2,
                depth => depth,
            },
            content: content.to_owned(),
        })
        .collect()
}

/// The comment of which prost-build makes docs with just these lines: it leaves those alone that begin with one
/// space, and puts one in front of those that begin with several.
pub(super) fn write(lines: &[Line]) -> String {
    let mut text = String::new();
    for Line { depth, content } in lines {
        if !content.is_empty() {
            // Three spaces behind the slashes are the fewest after one.
            text.push_str(&" ".repeat(if *depth == 1 { 2 } else { (*depth).max(1) }));
            text.push_str(content);
        }
        text.push('\n');
    }
    text
}

/// The column at which `line` has its first character, and the rest from there on.
///
/// A tab is as wide as if one space stood between the slashes and the text.
pub(super) fn indentation(line: &str) -> (usize, &str) {
    let content = line.trim_start();
    let (space, _) = line.split_at(line.len() - content.len());
    let column = space.chars().fold(0, |column, c| match c {
        '\t' => column.max(1) + TAB - (column.max(1) - 1) % TAB,
        _ => column + 1,
    });
    (column, content)
}

/// What a line would begin that is not in code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Blank,
    Text,
    /// A block of one line, or one whose end is not known here.
    Alone,
    Code,
    Fence,
    Quote,
    /// An item that may be the first of a list anywhere.
    Item,
    /// An item with a number other than 1.
    LaterItem,
}

impl Begin {
    pub(super) fn of(content: &str) -> Self {
        match content.chars().next() {
            None => Self::Blank,
            Some('>') => Self::Quote,
            Some('`' | '~') if fence(content) > 0 => Self::Fence,
            Some('#' | '|' | '<') => Self::Alone,
            Some('-' | '*' | '_' | '=') if is_rule(content) => Self::Alone,
            Some(_) => match content.split_at(marker(content)).0 {
                "" => Self::Text,
                "-" | "*" | "+" | "1." | "1)" => Self::Item,
                _ => Self::LaterItem,
            },
        }
    }
}

/// The length of the fence at the beginning, or 0.
pub(super) fn fence(content: &str) -> usize {
    let sign = if content.starts_with('~') { '~' } else { '`' };
    let info = content.trim_start_matches(sign);
    let length = content.len() - info.len();
    let is_fence = length >= 3 && (sign == '~' || !info.contains('`'));
    if is_fence { length } else { 0 }
}

/// A fence that is none of `lines`, nor closed by one.
pub(super) fn longer_fence(lines: &[Line]) -> String {
    let runs = lines
        .iter()
        .flat_map(|line| line.content.split(|c| c != '`'));
    let longest = runs.map(str::len).max().unwrap_or_default();
    "`".repeat(if longest < 3 { 3 } else { longest + 1 })
}

/// The length of the sign of a list item at the beginning, or 0.
pub(super) fn marker(content: &str) -> usize {
    let digits = content.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = content.len() - digits.len();
    let signs: &[char] = if count == 0 {
        &['-', '*', '+']
    } else {
        &['.', ')']
    };
    match digits.strip_prefix(signs) {
        Some(rest) if count < 10 && (rest.is_empty() || rest.starts_with([' ', '\t'])) => count + 1,
        _ => 0,
    }
}

/// Whether rustdoc leaves a block alone behind whose fence this stands: a language comes first, and it is not Rust.
pub(super) fn is_foreign(info: &str) -> bool {
    let mut words = info.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return false;
    };
    let is_plain = first.starts_with(|c: char| c.is_ascii_alphabetic())
        && first
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-_#.".contains(c));
    let is_rust = RUST.iter().any(|word| first.starts_with(word));
    is_plain
        && !is_rust
        && words.all(|word| word.chars().all(char::is_alphanumeric) && word != "rust")
}

/// How words begin that do not keep rustdoc from compiling a block.
const RUST: [&str; 9] = [
    "rust",
    "ignore",
    "should_panic",
    "no_run",
    "test_harness",
    "compile_fail",
    "edition",
    "standalone",
    "E0",
];

/// A line across, or one that makes a heading of the lines above.
fn is_rule(content: &str) -> bool {
    let content = content.trim_end();
    let first = content.chars().next();
    let is_of_one = content.chars().all(|c| Some(c) == first);
    let signs = content.chars().filter(|&c| Some(c) == first).count();
    let is_spaced = content.chars().all(|c| Some(c) == first || c == ' ');
    is_of_one && content.starts_with(['-', '=']) && (signs > 1 || content.starts_with('='))
        || is_spaced && signs >= 3 && !content.starts_with('=')
}

const TAB: usize = 4;
