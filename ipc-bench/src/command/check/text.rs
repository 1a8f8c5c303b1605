//! A comparison for people: what changed, then how much did not.

use super::compare::{Comparison, Difference, Verdict};
use crate::report::Interval;
use crate::report::units::{digits, percent};

pub(super) fn lines(found: &Comparison) -> Vec<String> {
    let mut lines = vec![
        format!("baseline: {}", found.baseline.line()),
        format!("current:  {}", found.current.line()),
    ];
    for verdict in [Verdict::Better, Verdict::Noise, Verdict::Regressed] {
        let those = found
            .differences
            .iter()
            .filter(|one| one.verdict == verdict);
        lines.extend(those.map(difference));
    }
    for lack in &found.not_compared {
        lines.push(format!("not compared  {}: {}", lack.row, lack.why));
    }
    for lack in &found.missing {
        lines.push(format!("MISSING       {}: {}", lack.row, lack.why));
    }
    for failures in &found.failures {
        lines.push(format!(
            "REGRESSED     {}: {} of the calls failed, now {}",
            failures.row,
            percent(failures.baseline),
            percent(failures.current)
        ));
    }
    lines.push(sum(found));
    lines
}

fn difference(one: &Difference) -> String {
    let (word, so) = match one.verdict {
        Verdict::Same => ("same", ""),
        Verdict::Better => ("better", ""),
        Verdict::Noise => ("noise", ", which the noise of the repetitions explains"),
        Verdict::Regressed => ("REGRESSED", ""),
    };
    let side = if one.worse_by > 0.0 {
        "worse"
    } else {
        "better"
    };
    let ratio = |of: &Interval| {
        format!(
            "{} ({}..{})",
            digits(of.median),
            digits(of.low),
            digits(of.high)
        )
    };
    format!(
        "{word:<13} {}: {} {} -> {} x {}, {} {side}{so}",
        one.row,
        one.what,
        ratio(&one.baseline),
        ratio(&one.current),
        one.to,
        percent(one.worse_by.abs())
    )
}

fn sum(found: &Comparison) -> String {
    let all = &found.differences;
    let count = |verdict| all.iter().filter(|one| one.verdict == verdict).count();
    format!(
        "{} quantities compared: {} within {}, {} better, {} too noisy to tell, {} regressed; {} missing",
        all.len(),
        count(Verdict::Same),
        percent(found.tolerance),
        count(Verdict::Better),
        count(Verdict::Noise),
        found.regressions(),
        found.missing.len()
    )
}

#[cfg(test)]
mod tests {
    use super::super::compare::compare;
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_regression_is_told_with_both_ratios_and_its_size() {
        let run = sample::pair();
        let mut slow = run.clone();
        slow.rows[1].each.iter_mut().for_each(|one| one.p50 *= 1.4);
        let lines = lines(&compare(&run, &slow, 0.05).unwrap());
        let told = lines
            .iter()
            .find(|line| line.starts_with("REGRESSED"))
            .unwrap();
        assert!(
            told.contains("p50 1.15 (1.15..1.15) -> 1.61 (1.61..1.61) x raw, 40 % worse"),
            "{told}"
        );
        let last = lines.last().unwrap();
        assert!(
            last.starts_with("4 quantities compared: 3 within 5 %"),
            "{last}"
        );
        assert!(last.ends_with("1 regressed; 0 missing"), "{last}");
    }
}
