//! Keeps rustdoc from compiling what is not Rust.
//!
//! Comments of a proto become docs, and rustdoc takes a code block without a language for a test in Rust: an example in
//! shell or JSON would then break `cargo test` of the crate that includes the code.

mod line;

use line::{Begin, Line, fence, indentation, is_foreign, marker};

/// Marks each code block of `comment` that rustdoc would compile as text.
///
/// The indentation is written anew: prost-build moves lines that begin with two spaces, and what was judged here would
/// not be what rustdoc reads.
pub(crate) fn mark_code(comment: &str) -> String {
    let lines = line::read(comment);
    let mut blocks = Blocks::new(line::longer_fence(&lines));
    for Line { depth, content } in lines {
        blocks.line(depth, &content);
    }
    blocks.finish();
    line::write(&blocks.out)
}

/// What the lines so far leave open, as CommonMark has it.
struct Blocks {
    /// What closes no block of the comment.
    fence: String,
    out: Vec<Line>,
    /// Where the content of each open item of a list begins, the outer ones first.
    items: Vec<usize>,
    /// An open quote and where it stands.
    quote: Option<(usize, Box<Self>)>,
    place: Place,
    /// Blank lines that belong to an indented block only if more of it follows.
    blanks: usize,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    /// An indented line would be code.
    Free,
    /// An indented line would go on with the paragraph.
    Paragraph,
    /// Code until this fence, which stands so far to the right, is closed.
    Fence(usize, String),
    /// Code that was indented so far.
    Indented(usize),
}

impl Blocks {
    const fn new(fence: String) -> Self {
        Self {
            fence,
            out: Vec::new(),
            items: Vec::new(),
            quote: None,
            place: Place::Free,
            blanks: 0,
        }
    }

    fn line(&mut self, depth: usize, content: &str) {
        let beyond = depth.checked_sub(self.base());
        match (&self.place, beyond) {
            (Place::Indented(_), _) if content.is_empty() => self.blanks += 1,
            (Place::Fence(..), _) if content.is_empty() => self.push(0, ""),
            (&Place::Indented(from), Some(beyond)) if beyond >= NEARLY_CODE => {
                self.push_blanks();
                self.push(self.base() + beyond.saturating_sub(from), content);
            }
            (Place::Fence(_, open), Some(beyond)) => {
                let rest = content.strip_prefix(open.as_str());
                let sign = open.chars().next();
                // Whatever is longer closes it too.
                let is_end =
                    rest.is_some_and(|rest| rest.trim_end().chars().all(|c| Some(c) == sign));
                if is_end && beyond < CODE {
                    self.place = Place::Free;
                }
                self.push(depth, content);
            }
            _ => {
                self.leave_code();
                self.open(depth, content);
            }
        }
    }

    /// Takes in a line that goes on with no code, and may begin some.
    fn open(&mut self, depth: usize, content: &str) {
        let kept = self.items.iter().take_while(|&&from| from <= depth).count();
        let mut begin = Begin::of(content);
        if self.place == Place::Paragraph {
            match begin {
                Begin::Text => return self.push(depth, content),
                // Only a list that counts from 1 cuts a paragraph short.
                Begin::LaterItem if kept == self.items.len() => return self.push(depth, content),
                _ => {}
            }
        }
        if begin != Begin::Blank && kept < self.items.len() {
            self.leave_quote();
            self.items.truncate(kept);
        }
        let beyond = depth.saturating_sub(self.base());
        let is_nearly_code = self.items.is_empty() && begin == Begin::Text && beyond >= NEARLY_CODE;
        if begin != Begin::Blank && (beyond >= CODE || is_nearly_code) {
            begin = match self.place {
                Place::Paragraph => return self.push(depth, content),
                _ => Begin::Code,
            };
        }
        if begin != Begin::Quote {
            self.leave_quote();
        }
        self.place = Place::Free;
        match begin {
            Begin::Blank | Begin::Alone => self.push(depth, content),
            Begin::Text => {
                self.place = Place::Paragraph;
                self.push(depth, content);
            }
            Begin::Code => {
                let from = beyond.min(CODE);
                self.place = Place::Indented(from);
                self.push(self.base(), &format!("{}text", self.fence));
                self.push(depth - from, content);
            }
            Begin::Fence => {
                let (open, info) = content.split_at(fence(content));
                self.place = Place::Fence(depth, open.to_owned());
                let info = if is_foreign(info) { info } else { "text" };
                self.push(depth, &format!("{open}{info}"));
            }
            Begin::Quote => self.quoted(depth, content),
            Begin::Item | Begin::LaterItem => self.item(depth, content),
        }
    }

    fn item(&mut self, depth: usize, content: &str) {
        let (sign, rest) = content.split_at(marker(content));
        let (gap, rest) = indentation(rest);
        if rest.is_empty() {
            return self.push(depth, sign);
        }
        // Further away would be code.
        let gap = if gap > CODE { 1 } else { gap };
        let inner = depth + sign.len() + gap;
        self.items.push(inner);
        let first = self.out.len();
        self.open(inner, rest);
        if let Some(line) = self.out.get_mut(first) {
            line.depth = depth;
            line.content = format!("{sign}{}{}", " ".repeat(gap), line.content);
        }
    }

    fn quoted(&mut self, depth: usize, content: &str) {
        let (gap, rest) = indentation(content.strip_prefix('>').unwrap_or(content));
        let quote = self.quote.take().map(|(_, quote)| quote);
        let mut quote = quote.unwrap_or_else(|| Box::new(Self::new(self.fence.clone())));
        quote.line(gap.saturating_sub(1), rest);
        self.push_quote(depth, &mut quote);
        self.quote = Some((depth, quote));
    }

    fn push_quote(&mut self, depth: usize, quote: &mut Self) {
        for line in quote.out.drain(..) {
            let content = format!("> {}{}", " ".repeat(line.depth), line.content);
            self.push(depth, content.trim_end());
        }
    }

    fn leave_quote(&mut self) {
        if let Some((depth, mut quote)) = self.quote.take() {
            quote.finish();
            self.push_quote(depth, &mut quote);
        }
    }

    fn leave_code(&mut self) {
        if let Place::Indented(_) = self.place {
            self.push(self.base(), &self.fence.clone());
            self.push_blanks();
        }
        if let Place::Indented(_) | Place::Fence(..) = self.place {
            self.place = Place::Free;
        }
    }

    /// Closes what is open: more docs may follow that are not of this comment.
    fn finish(&mut self) {
        self.leave_quote();
        if let Place::Fence(depth, open) = self.place.clone() {
            self.push(depth, &open);
        }
        self.leave_code();
    }

    fn base(&self) -> usize {
        self.items.last().copied().unwrap_or_default()
    }

    fn push_blanks(&mut self) {
        for _ in 0..std::mem::take(&mut self.blanks) {
            self.push(0, "");
        }
    }

    fn push(&mut self, depth: usize, content: &str) {
        let content = content.to_owned();
        self.out.push(Line { depth, content });
    }
}

/// A line indented so far is code.
const CODE: usize = 4;

/// Four spaces behind the slashes, which people mean to be code.
const NEARLY_CODE: usize = 3;

#[cfg(test)]
mod tests {
    use super::mark_code;

    fn check(cases: &[(&str, &str)]) {
        for (comment, expected) in cases {
            assert_eq!(mark_code(comment), *expected, "of {comment:?}");
        }
    }

    #[test]
    fn a_comment_without_code_says_what_it_said() {
        let comment = " One line.\n\n - an item\n\n     its second paragraph\n   continued\n";
        let expected = " One line.\n\n - an item\n\n    its second paragraph\n  continued\n";
        let list = " Lines:\n\n    - one\n    - two\n 2. more\n      of it\n";
        let written = " Lines:\n\n   - one\n   - two\n 2. more\n     of it\n";
        check(&[
            (comment, expected),
            (list, written),
            ("      Far in.\n\n      Still.\n", " Far in.\n\n Still.\n"),
            (" a\n     b\n", " a\n    b\n"),
        ]);
    }

    #[test]
    fn an_indented_block_is_fenced_as_text() {
        let wide = " Run:\n\n     $ make\n\n     $ run\n\n Then look.\n";
        let fenced = " Run:\n\n ```text\n $ make\n\n $ run\n ```\n\n Then look.\n";
        let short = " Run:\n\n ```text\n curl x\n ```\n";
        check(&[
            (wide, fenced),
            (" Run:\n\n    curl x\n", short),
            ("Run:\n\n    curl x\n", short),
            ("Run:\n\n\tcurl x\n", short),
            (" Run:\n\n\tcurl x\n", short),
            (" Run:\n\n \tcurl x\n", short),
            (" # Run\n     curl x\n", " # Run\n ```text\n curl x\n ```\n"),
            (
                " a\n 2. b\n\n      x\n",
                " a\n 2. b\n\n ```text\n  x\n ```\n",
            ),
            (" a\n     \n     x\n", " a\n\n ```text\n x\n ```\n"),
            ("     ```\n a\n", " ````text\n ```\n ````\n a\n"),
            (" ---\n     x\n y\n", " ---\n ```text\n x\n ```\n y\n"),
        ]);
    }

    #[test]
    fn code_in_a_list_or_a_quote_is_fenced_there() {
        check(&[
            (
                " - a\n\n       $ x\n\n b\n",
                " - a\n\n  ```text\n  $ x\n  ```\n\n b\n",
            ),
            (" 1.      $ x\n", " 1. $ x\n"),
            (" - ```\n   x\n   ```\n b\n", " - ```text\n  x\n  ```\n b\n"),
            (
                " > a\n >\n >     $ x\n\n b\n",
                " > a\n >\n > ```text\n > $ x\n > ```\n\n b\n",
            ),
            (" - > ```\n > x\n", " - > ```text\n  > ```\n > x\n"),
            (" > ```\n > x\n b\n", " > ```text\n > x\n > ```\n b\n"),
        ]);
    }

    #[test]
    fn a_fence_that_rustdoc_would_compile_becomes_text() {
        for info in [
            "",
            "rust",
            "no_run",
            "rust,no_run",
            "rust, ignore",
            "ignore",
            "ignore-wasm32",
            "should_panic",
            "compile_fail,E0277",
            "edition2024",
            "test_harness",
            "{.json}",
            "json rust",
            "(note)",
        ] {
            for fence in ["```", "~~~", "`````"] {
                let comment = format!(" {fence}{info}\n a\n {fence}\n b\n");
                let expected = format!(" {fence}text\n a\n {fence}\n b\n");
                check(&[(&comment, &expected)]);
            }
        }
        for info in ["text", "json", "sh", "c++", "Objective-C", "json,ignore"] {
            let comment = format!(" ```{info}\n a\n ```\n");
            check(&[(&comment, &comment)]);
        }
    }

    #[test]
    fn a_fence_ends_only_where_it_is_closed() {
        check(&[
            (
                " ~~~\n ```\n x\n ~~~~\n y\n",
                " ~~~text\n ```\n x\n ~~~~\n y\n",
            ),
            (
                " ```\n ```json\n x\n ```\n",
                " ```text\n ```json\n x\n ```\n",
            ),
            (" ````\n ```\n x\n ````\n", " ````text\n ```\n x\n ````\n"),
            (" ```json\n     x\n", " ```json\n    x\n ```\n"),
            (" `a```b`\n", " `a```b`\n"),
        ]);
    }
}
