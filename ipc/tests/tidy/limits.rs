//! Every bound says its default where its user reads it, and says the truth.

use crate::source::{Source, words};

/// Each field of `struct Limits` has `Default <value>` in its doc, equal to the one in `impl Default for Limits`.
pub(crate) fn defaults_are_documented(file: &Source) -> Vec<String> {
    let (Some(fields), Some(defaults)) = (
        block_after(file, "struct Limits"),
        block_after(file, "impl Default for Limits"),
    ) else {
        return vec![format!(
            "{}: no `struct Limits` with an `impl Default`",
            file.path
        )];
    };
    let mut found = Vec::new();
    let mut names = 0;
    for (at, name) in fields_of(&file.code, fields) {
        names += 1;
        let doc = doc_above(&file.text[..at]);
        let Some(said) = documented(&doc) else {
            found.push(file.finding(at, &format!("`{name}` does not say `Default <value>`")));
            continue;
        };
        let code = &file.code[defaults.clone()];
        match words(code, &format!("{name}:"))
            .first()
            .and_then(|&i| evaluate(&code[i + name.len() + 1..]))
        {
            Some(value) if value == said => {}
            Some(value) => {
                found.push(
                    file.finding(at, &format!("`{name}`: doc says {said:?}, code {value:?}")),
                );
            }
            None => found.push(file.finding(at, &format!("`{name}`: no default that can be read"))),
        }
    }
    if names == 0 {
        found.push(format!("{}: `Limits` has no field", file.path));
    }
    found
}

/// Bytes and counts as they are, times in nanoseconds; `None` for "no limit".
#[derive(Debug, PartialEq)]
enum Value {
    Count(u128),
    Time(u128),
    Nothing,
}

fn block_after(file: &Source, head: &str) -> Option<std::ops::Range<usize>> {
    let start = *words(&file.code, head).first()?;
    let open = start + file.code[start..].find('{')?;
    let mut depth = 0;
    for (i, c) in file.code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + 1..open + i);
        }
    }
    None
}

fn fields_of(code: &str, block: std::ops::Range<usize>) -> Vec<(usize, String)> {
    let mut at = block.start;
    let mut fields = Vec::new();
    for line in code[block].split_inclusive('\n') {
        let field = line.trim_start();
        let name = field
            .split_once(':')
            .map_or("", |(head, _)| head.rsplit(' ').next().unwrap_or(""));
        if !name.is_empty() && !field.starts_with('#') {
            fields.push((at + line.len() - field.len(), name.to_owned()));
        }
        at += line.len();
    }
    fields
}

/// The doc comment that ends just before, as one line.
fn doc_above(text: &str) -> String {
    let above = text.rsplit_once('\n').map_or("", |(above, _)| above);
    let mut lines: Vec<&str> = above
        .lines()
        .rev()
        .map(str::trim)
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .filter_map(|line| line.strip_prefix("///"))
        .map(str::trim)
        .collect();
    lines.reverse();
    lines.join(" ")
}

/// Reads `Default 64 KiB`, `Default: 5 s`, `Default 1,024 calls`, `Default none`.
fn documented(doc: &str) -> Option<Value> {
    let at = *words(doc, "Default").first()?;
    let rest = doc[at + "Default".len()..].trim_start_matches([':', ' ', '`']);
    if rest.starts_with("none") {
        return Some(Value::Nothing);
    }
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && !",_".contains(c))
        .unwrap_or(rest.len());
    let (digits, unit) = rest.split_at(end);
    let digits = digits.trim_end_matches(',');
    let number: u128 = digits.replace([',', '_'], "").parse().ok()?;
    let unit = unit
        .trim_start()
        .split(|c: char| !c.is_alphabetic())
        .next()
        .unwrap_or("");
    Some(in_unit(number, unit))
}

fn in_unit(number: u128, unit: &str) -> Value {
    match unit {
        "KiB" => Value::Count(number << 10),
        "MiB" => Value::Count(number << 20),
        "GiB" => Value::Count(number << 30),
        "ns" => Value::Time(number),
        "ms" => Value::Time(number * 1_000_000),
        "s" | "second" | "seconds" => Value::Time(number * 1_000_000_000),
        "min" | "minute" | "minutes" => Value::Time(number * 60_000_000_000),
        "h" | "hour" | "hours" => Value::Time(number * 3_600_000_000_000),
        _ => Value::Count(number),
    }
}

/// Reads the expressions such a default is written with: `64 * 1024`, `1 << 20`, `Duration::from_secs(5)`, `None`.
fn evaluate(expression: &str) -> Option<Value> {
    let mut depth = 0;
    let end = expression.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && (c == ',' || c == '}') || depth < 0
    });
    let expression = expression[..end.unwrap_or(expression.len())].trim();
    let inside = |call: &str| {
        expression
            .strip_suffix(')')?
            .strip_prefix(call)
            .map(str::trim)
    };
    if expression == "None" {
        return Some(Value::Nothing);
    }
    if let Some(value) = inside("Some(").or_else(|| inside("NonZero::new(")) {
        return evaluate(value);
    }
    for (call, unit) in [
        ("secs", "s"),
        ("millis", "ms"),
        ("nanos", "ns"),
        ("mins", "min"),
    ] {
        if let Some(number) = inside(&format!("Duration::from_{call}(")) {
            return Some(in_unit(count(number)?, unit));
        }
    }
    count(expression).map(Value::Count)
}

fn count(expression: &str) -> Option<u128> {
    if let Some((left, right)) = expression.split_once("<<") {
        return count(left)?.checked_shl(u32::try_from(count(right)?).ok()?);
    }
    expression.split('*').try_fold(1_u128, |product, factor| {
        let factor = match factor.trim() {
            "KIB" => 1 << 10,
            "MIB" => 1 << 20,
            plain => plain.replace('_', "").parse().ok()?,
        };
        product.checked_mul(factor)
    })
}

#[cfg(test)]
const GOOD: &str = "
/// Bounds.
pub struct Limits {
    /// Default 64 KiB: what a frame may carry.
    pub max_frame: u32,
    /// How long a peer may think about
    /// its handshake. Default 5 s.
    #[doc(alias = \"x\")]
    pub handshake: Duration,
    /// Default 1,000 calls.
    pub(crate) calls: usize,
    /// Default none.
    pub idle: Option<Duration>,
    /// Default 1 MiB.
    pub window: u64,
}
impl Default for Limits {
    fn default() -> Self {
        Self { max_frame: 64 * 1024, handshake: Duration::from_secs(5), calls: 1_000, idle: None, window: 1 << 20 }
    }
}
";

#[cfg(test)]
fn caught(text: &str) -> usize {
    defaults_are_documented(&Source::new("ipc/src/limits.rs", text)).len()
}

#[test]
fn documented_defaults_pass() {
    let found = defaults_are_documented(&Source::new("ipc/src/limits.rs", GOOD));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_default_that_is_missing_or_wrong_is_caught() {
    for (from, to) in [
        ("Default 64 KiB: what", "What"),
        ("Default 64 KiB", "Default 65 KiB"),
        ("Default 5 s", "Default 5 ms"),
        ("Default 1,000", "Default many"),
        ("Default none", "Default 3 s"),
        ("1 << 20", "WINDOW"),
        ("1 << 20", "1 << 21"),
        ("Default 1 MiB.", "One. "),
    ] {
        assert!(GOOD.contains(from));
        assert_eq!(caught(&GOOD.replacen(from, to, 1)), 1, "{from} -> {to}");
    }
}

#[test]
fn a_limits_file_without_limits_is_caught() {
    assert_eq!(caught("pub struct Other;"), 1);
    assert_eq!(
        caught("pub struct Limits {}\nimpl Default for Limits {}"),
        1
    );
}
