//! Each requirement of PROTOCOL.md has an id, and each id is named by a test.
//!
//! A requirement is a sentence with MUST in it, and starts with its id: `- [HDR-3] A receiver MUST …`.
//! A test names it in a comment (`// [HDR-3]`) or in its own name (`hdr_3_…`).

use crate::source::words;

pub(crate) fn requirements_are_tested(spec: &str, tests: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    for (line, sentence) in sentences(spec) {
        let (id, rest) = leading_id(&sentence);
        if !words(&sentence, "MUST").is_empty() && id.is_none() {
            found.push(format!(
                "PROTOCOL.md:{line}: MUST without an id: {}",
                start_of(&sentence)
            ));
        }
        let Some(id) = id else { continue };
        if words(rest, "MUST").is_empty() {
            found.push(format!("PROTOCOL.md:{line}: [{id}] names no MUST"));
        }
        if ids.contains(&id) {
            found.push(format!("PROTOCOL.md:{line}: [{id}] is used twice"));
        } else if !tests.iter().any(|(_, text)| names(text, &id)) {
            found.push(format!("PROTOCOL.md:{line}: no test names [{id}]"));
        }
        ids.push(id);
    }
    if ids.is_empty() {
        found.push("PROTOCOL.md: no requirement has an id".into());
    }
    for (path, text) in tests {
        found.extend(stale(text, &ids).map(|id| format!("{path}: [{id}] is not in PROTOCOL.md")));
    }
    found
}

/// Sentences of paragraphs, list items and table rows, with the line they stand on; code blocks are left out.
fn sentences(spec: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let (mut fenced, mut open) = (false, false);
    for (i, line) in spec.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("```") {
            fenced = !fenced;
            open = false;
            continue;
        }
        if fenced || line.is_empty() {
            open = false;
            continue;
        }
        let text = without_marker(line);
        if open && text.len() == line.len() {
            let block = &mut blocks.last_mut().expect("an open block").1;
            block.push(' ');
            block.push_str(text);
        } else {
            blocks.push((i + 1, text.to_owned()));
        }
        open = !line.starts_with(['#', '|']);
    }
    let sentences = blocks
        .iter()
        .flat_map(|(line, block)| split_sentences(block).map(|s| (*line, s.to_owned())));
    // The sentence that says what the words mean asks for nothing.
    sentences
        .filter(|(_, s)| !s.contains("RFC 2119") && !s.contains("BCP 14"))
        .collect()
}

/// The line without what makes it a list item, a table row or a quote.
fn without_marker(line: &str) -> &str {
    let number = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    if number > 0 && line[number..].starts_with(". ") {
        return line[number + 2..].trim_start();
    }
    for marker in ["- ", "* ", "+ ", "| ", "> "] {
        if let Some(rest) = line.strip_prefix(marker) {
            return rest.trim_start();
        }
    }
    line
}

fn split_sentences(block: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(block);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices(". ").map(|(at, _)| at + 2).find(|&at| {
            text[at..]
                .trim_start_matches(['*', '_'])
                .starts_with(|c: char| c.is_uppercase() || c == '[')
        });
        rest = end.map(|at| &text[at..]);
        Some(end.map_or(text, |at| &text[..at]).trim())
    })
}

fn leading_id(sentence: &str) -> (Option<String>, &str) {
    let text = sentence.trim_start_matches(['*', '_', '`']);
    let Some((id, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) else {
        return (None, sentence);
    };
    if is_id(id) {
        (Some(id.to_owned()), rest)
    } else {
        (None, sentence)
    }
}

/// Capitals, a hyphen, a number: `HDR-3`.
fn is_id(text: &str) -> bool {
    let Some((area, number)) = text.rsplit_once('-') else {
        return false;
    };
    !area.is_empty()
        && area.chars().all(|c| c.is_ascii_uppercase())
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

fn names(text: &str, id: &str) -> bool {
    let in_name = format!("{}_", id.to_lowercase().replace('-', "_"));
    text.contains(&format!("[{id}]"))
        || text
            .match_indices(&format!("fn {in_name}"))
            .next()
            .is_some()
        || !words(text, id).is_empty()
}

/// Ids in brackets of an area that the protocol has, that it does not have.
fn stale(text: &str, ids: &[String]) -> impl Iterator<Item = String> {
    let area = |id: &str| id.rsplit_once('-').map(|(area, _)| area.to_owned());
    text.split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .map(|(id, _)| id.to_owned())
        .filter(move |id| {
            is_id(id) && !ids.contains(id) && ids.iter().any(|known| area(known) == area(id))
        })
        .collect::<Vec<_>>()
        .into_iter()
}

fn start_of(sentence: &str) -> String {
    sentence.chars().take(70).collect()
}

#[cfg(test)]
fn check(spec: &str, tests: &str) -> Vec<String> {
    requirements_are_tested(spec, &[("ipc/tests/it/main.rs".into(), tests.into())])
}

#[cfg(test)]
const SPEC: &str = "
# Header
The words MUST and SHOULD are used as in RFC 2119.

- [HDR-1] A sender MUST write
  twelve bytes. [HDR-2] A receiver MUST read them, e.g. all of them.
- [HDR-3] Length MUST NOT be larger than `max_frame`. It may be 0.

| kind | rule |
|---|---|
| [HDR-10] HELLO | MUST come first |

```text
this MUST not count
```
";

#[test]
fn a_spec_whose_requirements_are_tested_passes() {
    let found = check(
        SPEC,
        "// [HDR-1] [HDR-2]\nfn hdr_3_length() {}\n// HDR-10: hello first",
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_requirement_without_a_test_is_caught() {
    let found = check(SPEC, "// [HDR-10] [HDR-2]\nfn hdr_3_length() {}");
    assert_eq!(found, ["PROTOCOL.md:5: no test names [HDR-1]"]);
}

#[test]
fn a_requirement_without_an_id_is_caught() {
    for bad in [
        "A peer MUST listen.",
        "- A peer MUST NOT shout.",
        "[HDR-1] A MUST b. C MUST d.",
        "| [HDR-1] MUST |\n| x MUST |",
        "[HDR-1] MUST.\n\nText.\n\n1. A peer MUST.",
        "[hdr-1] A MUST b. [HDR-1] A MUST b.",
    ] {
        let found = check(bad, "// [HDR-1]");
        assert!(
            found.iter().any(|f| f.contains("without an id")),
            "{bad}: {found:?}"
        );
    }
}

#[test]
fn an_id_that_is_reused_idle_or_stale_is_caught() {
    let twice = check("[HDR-1] A MUST b. [HDR-1] A MUST c.", "// [HDR-1]");
    assert_eq!(twice, ["PROTOCOL.md:1: [HDR-1] is used twice"]);
    let idle = check("[HDR-1] A may b.", "// [HDR-1]");
    assert_eq!(idle, ["PROTOCOL.md:1: [HDR-1] names no MUST"]);
    let stale = check("[HDR-1] A MUST b.", "// [HDR-1] [HDR-2] [UTF-8]");
    assert_eq!(
        stale,
        ["ipc/tests/it/main.rs: [HDR-2] is not in PROTOCOL.md"]
    );
}

#[test]
fn a_spec_without_requirements_is_caught() {
    assert_eq!(check("Be nice.", "").len(), 1);
    assert_eq!(check("", "").len(), 1);
}
