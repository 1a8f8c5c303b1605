//! What the daemon holds to be true, and what changes it: no clock, no lock, no IO.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::checks::Finding;

/// Which check of whom is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The user whose agent answers; `None` for checks of the system.
    pub uid: Option<u32>,
    /// The name of the check.
    pub name: String,
}

impl Subject {
    /// Whether a user may know of this check: root knows all, the others what is theirs or everyone's.
    #[must_use]
    pub fn is_visible_to(&self, uid: u32) -> bool {
        uid == 0 || self.uid.is_none_or(|owner| owner == uid)
    }
}

/// One change to what is held to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// What it is about.
    pub subject: Subject,
    /// How it now stands; `None` when it is no longer watched.
    pub finding: Option<Finding>,
}

/// Every check that has been run, and how it stands.
#[derive(Debug, Default)]
pub struct Board {
    tracks: BTreeMap<Subject, Track>,
}

#[derive(Debug, Default)]
struct Track {
    /// What was last told; `None` while the first failures are within tolerance.
    told: Option<Finding>,
    failures: u32,
}

impl Board {
    /// Takes in one result; gives the delta if it changes what subscribers know.
    ///
    /// A failure counts only once `tolerance` of them came in a row. A success counts at once.
    pub fn observe(
        &mut self,
        subject: Subject,
        tolerance: NonZeroU32,
        finding: Finding,
    ) -> Option<Delta> {
        let track = self.tracks.entry(subject.clone()).or_default();
        if finding == Finding::Holds {
            track.failures = 0;
        } else {
            track.failures = track.failures.saturating_add(1);
            if track.failures < tolerance.get() {
                return None;
            }
        }
        if track.told.as_ref() == Some(&finding) {
            return None;
        }
        track.told = Some(finding.clone());
        Some(Delta {
            subject,
            finding: Some(finding),
        })
    }

    /// Stops watching what `keep` does not name; gives the deltas for what had been told.
    pub fn retain(&mut self, keep: impl Fn(&Subject) -> bool) -> Vec<Delta> {
        let mut deltas = Vec::new();
        self.tracks.retain(|subject, track| {
            let kept = keep(subject);
            if !kept && track.told.is_some() {
                deltas.push(Delta {
                    subject: subject.clone(),
                    finding: None,
                });
            }
            kept
        });
        deltas
    }

    /// How everything stands that `uid` may see.
    pub fn standings(&self, uid: u32) -> impl Iterator<Item = (&Subject, &Finding)> {
        self.tracks
            .iter()
            .filter(move |(subject, _)| subject.is_visible_to(uid))
            .filter_map(|(subject, track)| Some((subject, track.told.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Drift;

    fn system(name: &str) -> Subject {
        Subject {
            uid: None,
            name: name.to_owned(),
        }
    }

    fn drifted(found: &str) -> Finding {
        let (what, expected) = ("mode".to_owned(), "0600".to_owned());
        Finding::Drifted(Drift {
            what,
            expected,
            found: found.to_owned(),
        })
    }

    fn times(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    /// Feeds results and gives what was told of each.
    fn told(tolerance: u32, findings: &[Finding]) -> Vec<Option<Finding>> {
        let mut board = Board::default();
        let mut observe = |finding: &Finding| {
            let delta = board.observe(system("a"), times(tolerance), finding.clone())?;
            assert_eq!(delta.subject, system("a"));
            delta.finding
        };
        findings.iter().map(&mut observe).collect()
    }

    #[test]
    fn a_failure_is_told_only_after_enough_of_them_in_a_row() {
        let (good, bad) = (Finding::Holds, drifted("0644"));
        let run = [&good, &bad, &bad, &good, &bad, &bad, &bad, &bad].map(Clone::clone);
        let mut expected = vec![None; 8];
        expected[0] = Some(good);
        expected[6] = Some(bad);
        assert_eq!(told(3, &run), expected);
    }

    #[test]
    fn a_success_is_told_at_once_and_only_once() {
        let (good, bad) = (Finding::Holds, drifted("0644"));
        let run = [&bad, &good, &good].map(Clone::clone);
        assert_eq!(told(1, &run), [Some(bad), Some(good), None]);
    }

    #[test]
    fn a_drift_that_changes_is_told_again() {
        let run = [drifted("0644"), drifted("0644"), drifted("0666")];
        assert_eq!(
            told(1, &run),
            [Some(drifted("0644")), None, Some(drifted("0666"))]
        );
    }

    #[test]
    fn a_check_that_cannot_be_run_counts_as_a_failure() {
        let unchecked = Finding::Unchecked("denied".to_owned());
        assert_eq!(
            told(2, &[drifted("0644"), unchecked.clone()]),
            [None, Some(unchecked)]
        );
    }

    #[test]
    fn a_first_failure_within_tolerance_leaves_the_check_without_a_standing() {
        let mut board = Board::default();
        assert_eq!(board.observe(system("a"), times(2), drifted("0644")), None);
        assert_eq!(board.standings(0).count(), 0);
    }

    #[test]
    fn a_user_sees_the_system_and_itself_and_root_sees_all() {
        let mut board = Board::default();
        for uid in [None, Some(501), Some(502)] {
            let subject = Subject {
                uid,
                name: "a".to_owned(),
            };
            board.observe(subject, times(1), Finding::Holds);
        }
        let seen = |uid| {
            board
                .standings(uid)
                .map(|(subject, _)| subject.uid)
                .collect::<Vec<_>>()
        };
        assert_eq!(seen(501), [None, Some(501)]);
        assert_eq!(seen(0), [None, Some(501), Some(502)]);
    }

    #[test]
    fn what_is_no_longer_watched_is_told_if_it_was_known() {
        let mut board = Board::default();
        board.observe(system("known"), times(1), Finding::Holds);
        board.observe(system("unknown"), times(2), drifted("0644"));
        board.observe(system("kept"), times(1), Finding::Holds);
        let deltas = board.retain(|subject| subject.name == "kept");
        assert_eq!(
            deltas,
            [Delta {
                subject: system("known"),
                finding: None
            }]
        );
        assert_eq!(board.standings(0).count(), 1);
    }

    #[test]
    fn state_and_deltas_together_always_give_the_state() {
        // Every sequence of three results for two checks, followed from the second on.
        for code in 0..3_usize.pow(6) {
            let mut board = Board::default();
            for step in 0..2 {
                observe(&mut board, code, step);
            }
            let mut mirror = held(&board);
            mirror.extend((2..6).filter_map(|step| {
                let delta = observe(&mut board, code, step)?;
                Some((delta.subject, delta.finding?))
            }));
            assert_eq!(mirror, held(&board), "sequence {code}");
        }
    }

    fn observe(board: &mut Board, code: usize, step: u32) -> Option<Delta> {
        let results = [Finding::Holds, drifted("0644"), drifted("0666")];
        let finding = results[code / 3_usize.pow(step) % 3].clone();
        board.observe(system(["a", "b"][step as usize % 2]), times(2), finding)
    }

    fn held(board: &Board) -> BTreeMap<Subject, Finding> {
        board
            .standings(0)
            .map(|(subject, finding)| (subject.clone(), finding.clone()))
            .collect()
    }
}
