//! Keeps rustdoc from compiling what is not Rust.
//!
//! Comments of a proto become docs, and rustdoc takes a code block without a language for a test in Rust: an example in
//! shell or JSON would then break `cargo test` of the crate that includes the code.

/// Marks each code block of `comment` that rustdoc would compile as text.
pub(crate) fn mark_code(comment: &str) -> String {
    let margin = comment
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(indentation)
        .min()
        .unwrap_or_default();
    let mut blocks = Blocks {
        pad: " ".repeat(margin),
        text: String::with_capacity(comment.len() + 16),
        place: Place::Prose,
        is_after_blank: true,
        is_in_list: false,
    };
    for line in comment.lines() {
        blocks.line(line, indentation(line).saturating_sub(margin));
    }
    blocks.leave_code();
    blocks.text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Prose,
    Fence,
    Indented,
}

struct Blocks {
    pad: String,
    text: String,
    place: Place,
    is_after_blank: bool,
    is_in_list: bool,
}

impl Blocks {
    fn line(&mut self, line: &str, depth: usize) {
        let content = line.trim_start();
        let is_fence = content.starts_with("```");
        match self.place {
            Place::Fence => {
                if is_fence {
                    self.place = Place::Prose;
                }
                self.push(line);
            }
            Place::Prose | Place::Indented if content.is_empty() => self.push(line),
            Place::Indented if depth >= 4 => self.push(&line[4..]),
            // Below an item of a list, an indented line continues the item.
            Place::Prose if depth >= 4 && self.is_after_blank && !self.is_in_list => {
                self.place = Place::Indented;
                self.push_fence("```text");
                self.push(&line[4..]);
            }
            Place::Prose | Place::Indented => {
                self.leave_code();
                if is_fence {
                    self.place = Place::Fence;
                    self.push(&line.replacen(content, &labelled(content), 1));
                } else {
                    self.is_in_list = is_item(content) || (self.is_in_list && depth > 0);
                    self.push(line);
                }
            }
        }
        self.is_after_blank = content.is_empty();
    }

    /// Closes the block that an indented line opened.
    fn leave_code(&mut self) {
        if self.place == Place::Indented {
            self.place = Place::Prose;
            self.push_fence("```");
        }
    }

    fn push_fence(&mut self, fence: &str) {
        let line = format!("{}{fence}", self.pad);
        self.push(&line);
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// The opening line of a fenced block, with a language that is not Rust.
fn labelled(fence: &str) -> String {
    match fence.trim_start_matches('`').trim() {
        "" | "rust" => "```text".to_owned(),
        _ => fence.to_owned(),
    }
}

fn is_item(content: &str) -> bool {
    let rest = content.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = rest.len() < content.len() && rest.starts_with(". ");
    is_numbered
        || ["- ", "* ", "+ "]
            .iter()
            .any(|bullet| content.starts_with(bullet))
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::mark_code;

    #[test]
    fn a_comment_without_code_stays_as_it_is() {
        let comment = " One line.\n\n - an item\n\n     its second paragraph\n  continued\n";
        assert_eq!(mark_code(comment), comment);
    }

    #[test]
    fn an_indented_block_is_fenced_as_text() {
        assert_eq!(
            mark_code(" Run:\n\n     $ make\n\n     $ run\n\n Then look.\n"),
            " Run:\n\n ```text\n $ make\n\n $ run\n\n ```\n Then look.\n"
        );
        assert_eq!(
            mark_code(" Run:\n\n     $ make\n"),
            " Run:\n\n ```text\n $ make\n ```\n"
        );
    }

    #[test]
    fn a_fence_without_a_language_or_with_rust_becomes_text() {
        assert_eq!(
            mark_code(" ```\n a\n ```\n b\n"),
            " ```text\n a\n ```\n b\n"
        );
        assert_eq!(mark_code(" ```rust\n a\n ```\n"), " ```text\n a\n ```\n");
        assert_eq!(mark_code(" ```json\n a\n ```\n"), " ```json\n a\n ```\n");
    }

    #[test]
    fn a_comment_that_is_indented_as_a_whole_is_prose() {
        let comment = "      Far in.\n\n      Still.\n";
        assert_eq!(mark_code(comment), comment);
    }
}
