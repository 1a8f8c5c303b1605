//! Numbers as people read them: three digits and a unit.

/// A time in microseconds.
pub(crate) fn time(us: f64) -> String {
    match us.abs() {
        size if size >= 999_500.0 => format!("{} s", digits(us / 1e6)),
        size if size >= 999.5 => format!("{} ms", digits(us / 1e3)),
        size if size >= 0.9995 || size == 0.0 || size.is_nan() => format!("{} µs", digits(us)),
        _ => format!("{} ns", digits(us * 1e3)),
    }
}

/// A number of things: `1.23 M`.
pub(crate) fn count(value: f64) -> String {
    match value.abs() {
        size if size >= 999.5e6 => format!("{} G", digits(value / 1e9)),
        size if size >= 999.5e3 => format!("{} M", digits(value / 1e6)),
        size if size >= 9_999.5 => format!("{} k", digits(value / 1e3)),
        _ => digits(value),
    }
}

/// All digits of a number of things: `9,956`.
pub(crate) fn whole(count: usize) -> String {
    let digits = count.to_string();
    let places = digits.len();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (places - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes, in powers of 1,024.
pub(crate) fn bytes(value: f64) -> String {
    const KIB: f64 = 1_024.0;
    match value.abs() {
        size if size >= KIB * KIB * KIB => format!("{} GiB", digits(value / KIB / KIB / KIB)),
        size if size >= KIB * KIB => format!("{} MiB", digits(value / KIB / KIB)),
        size if size >= KIB => format!("{} KiB", digits(value / KIB)),
        _ => format!("{} B", digits(value)),
    }
}

/// A ratio: `1.14 ×`.
pub(crate) fn times(ratio: f64) -> String {
    if (0.1..10.0).contains(&ratio) {
        return format!("{ratio:.2} ×");
    }
    format!("{} ×", digits(ratio))
}

/// A share, of which 1 is all.
pub(crate) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.000_01 {
        return "under 0.001 %".to_owned();
    }
    format!("{} %", digits(share * 100.0))
}

/// Three digits, more where the whole part has more, none that say nothing.
pub(crate) fn digits(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let places = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if !text.contains('.') {
        return text;
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// `1 process`, `2 processes`.
pub(crate) fn plural(count: usize, one: &str, many: &str) -> String {
    let word = if count == 1 { one } else { many };
    format!("{} {word}", self::count(count as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_their_unit() {
        assert_eq!(time(8.504), "8.5 µs");
        assert_eq!(time(0.0), "0 µs");
        assert_eq!(time(0.13), "130 ns");
        assert_eq!(time(999.7), "1 ms");
        assert_eq!(time(1_234_567.0), "1.23 s");
        assert_eq!(count(1_000.0), "1000");
        assert_eq!(count(12_345.0), "12.3 k");
        assert_eq!(count(1_994_000.0), "1.99 M");
        assert_eq!(
            [0, 999, 9_956, 1_234_567].map(whole),
            ["0", "999", "9,956", "1,234,567"]
        );
        assert_eq!(bytes(64.0), "64 B");
        assert_eq!(bytes(65_536.0), "64 KiB");
        assert_eq!(bytes(1_048_576.0), "1 MiB");
        assert_eq!(times(1.1), "1.10 ×");
        assert_eq!(times(0.081), "0.081 ×");
        assert_eq!(times(13.78), "13.8 ×");
        assert_eq!(percent(0.3), "30 %");
        assert_eq!(percent(1e-7), "under 0.001 %");
        assert_eq!(plural(1, "process", "processes"), "1 process");
        assert_eq!(plural(2, "process", "processes"), "2 processes");
    }

    #[test]
    fn what_is_no_number_is_a_dash() {
        assert_eq!(time(f64::NAN), "– µs");
        assert_eq!(digits(f64::INFINITY), "–");
    }
}
