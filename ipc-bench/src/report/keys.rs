//! What tells one row from another, and how it is called.

use super::row::Row;
use super::units::{bytes, count, plural};

/// A property that a row was asked for, not one that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Transport,
    Runtime,
    Scenario,
    Payload,
    Pinning,
    Processes,
    Connections,
    InFlight,
    Rate,
    Arrivals,
    Deadline,
    Uids,
}

impl Key {
    /// All of them: two rows that agree in these measured the same.
    pub(crate) const ALL: [Self; 12] = [
        Self::Transport,
        Self::Runtime,
        Self::Scenario,
        Self::Payload,
        Self::Pinning,
        Self::Processes,
        Self::Connections,
        Self::InFlight,
        Self::Rate,
        Self::Arrivals,
        Self::Deadline,
        Self::Uids,
    ];

    /// What was to be done, whoever did it: rows that agree in these stand side by side.
    pub(crate) const WORKLOAD: [Self; 10] = [
        Self::Scenario,
        Self::Payload,
        Self::Pinning,
        Self::Processes,
        Self::Connections,
        Self::InFlight,
        Self::Rate,
        Self::Arrivals,
        Self::Deadline,
        Self::Uids,
    ];

    /// As it reads in a name.
    pub(crate) fn text(self, row: &Row) -> String {
        match self {
            Self::Transport => row.transport.clone(),
            Self::Runtime => row.runtime.clone(),
            // What `attach` calls has the name that its daemon gave it.
            Self::Scenario if row.scenario.contains('/') => row.scenario.clone(),
            Self::Scenario => row.scenario.replace('_', " "),
            Self::Payload => bytes(row.payload_bytes as f64),
            Self::Pinning => match row.pinning.as_str() {
                "none" => "not pinned".to_owned(),
                other => format!("pinned {other}"),
            },
            Self::Processes => plural(row.processes, "process", "processes"),
            Self::Connections => plural(row.connections, "connection", "connections"),
            Self::InFlight => format!("{} in flight", row.in_flight),
            Self::Rate => row.rate.map_or_else(
                || "closed loop".to_owned(),
                |rate| format!("{}/s offered", count(rate)),
            ),
            Self::Arrivals => match &row.arrivals {
                Some(arrivals) => format!("{arrivals} arrivals"),
                None => "no arrivals".to_owned(),
            },
            Self::Deadline => match row.deadline {
                true => "with a deadline".to_owned(),
                false => "no deadline".to_owned(),
            },
            Self::Uids => match row.uids.as_slice() {
                [] => "one user".to_owned(),
                uids => format!("users {}", numbers(uids)),
            },
        }
    }

    /// Whether a name is clear without it.
    fn goes_without_saying(self, row: &Row) -> bool {
        match self {
            Self::Processes => row.processes <= 1,
            Self::Rate => row.rate.is_none(),
            Self::Arrivals => row.arrivals.as_deref().is_none_or(|word| word == USUAL),
            Self::Deadline => row.deadline,
            Self::Uids => row.uids.is_empty(),
            _ => false,
        }
    }

    fn same(self, a: &Row, b: &Row) -> bool {
        match self {
            Self::Transport => a.transport == b.transport,
            Self::Runtime => a.runtime == b.runtime,
            Self::Scenario => a.scenario == b.scenario,
            Self::Payload => a.payload_bytes == b.payload_bytes,
            Self::Pinning => a.pinning == b.pinning,
            Self::Processes => a.processes == b.processes,
            Self::Connections => a.connections == b.connections,
            Self::InFlight => a.in_flight == b.in_flight,
            Self::Rate => a.rate == b.rate,
            Self::Arrivals => a.arrivals == b.arrivals,
            Self::Deadline => a.deadline == b.deadline,
            Self::Uids => a.uids == b.uids,
        }
    }

    /// Whether rows differ in it.
    pub(crate) fn varies(self, rows: &[&Row]) -> bool {
        rows.first()
            .is_some_and(|first| rows.iter().any(|row| !self.same(first, row)))
    }
}

/// Arrivals that a name need not tell.
const USUAL: &str = "poisson";

/// As `501, 502`.
fn numbers(all: &[u32]) -> String {
    let texts = all.iter().map(u32::to_string);
    texts.collect::<Vec<_>>().join(", ")
}

/// Whether two rows agree in all of `keys`.
pub(crate) fn alike(keys: &[Key], a: &Row, b: &Row) -> bool {
    keys.iter().all(|key| key.same(a, b))
}

/// The raw rows that stand beside a row: what the machine can do for the same workload. First
/// comes the one that is made for it: one thread for many connections, windows for many calls in
/// flight, else a plain ping-pong.
pub(crate) fn raw_beside<'a>(rows: &'a [Row], row: &Row) -> Vec<&'a Row> {
    let made_for_it = match (row.connections, row.in_flight) {
        (0 | 1, 0 | 1) => "raw",
        (0 | 1, _) => "raw_pipelined",
        _ => "raw_epoll",
    };
    let beside = |other: &&Row| is_raw(other) && alike(&Key::WORKLOAD, other, row);
    let mut found: Vec<&Row> = rows.iter().filter(beside).collect();
    found.sort_by_key(|raw| (raw.transport != made_for_it, raw.transport != "raw"));
    found
}

/// Whether a row is a yardstick: a socket without anything on top.
pub(crate) fn is_raw(row: &Row) -> bool {
    row.transport.starts_with("raw")
}

/// Sorts rows into groups that agree in all of `keys`, in the order of their first rows.
pub(crate) fn groups<'a>(keys: &[Key], rows: &[&'a Row]) -> Vec<Vec<&'a Row>> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let group = groups.iter_mut().find(|group| alike(keys, group[0], row));
        match group {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// Splits rows by one property after the other until no group has more than `most`.
pub(crate) fn split<'a>(rows: &[&'a Row], most: usize) -> Vec<Vec<&'a Row>> {
    let by = Key::WORKLOAD.iter().chain(&[Key::Runtime, Key::Transport]);
    let mut parts = vec![rows.to_vec()];
    for key in by {
        let finer = parts.iter().flat_map(|part| {
            if part.len() > most {
                groups(&[*key], part)
            } else {
                vec![part.clone()]
            }
        });
        parts = finer.collect();
    }
    let parts = parts.iter().flat_map(|part| part.chunks(most));
    parts.map(<[_]>::to_vec).collect()
}

/// The whole name of a row.
pub(crate) fn full_name(row: &Row) -> String {
    said(&Key::ALL, row).join(", ")
}

/// A row that another is divided by: its transport alone where that says it.
pub(crate) fn name_beside(to: &Row, of: &Row) -> String {
    if alike(&Key::WORKLOAD, of, to) && of.transport != to.transport {
        return to.transport.clone();
    }
    full_name(to)
}

/// What a group's rows have in common.
pub(crate) fn title(rows: &[&Row]) -> String {
    let common = Key::WORKLOAD.iter().copied();
    let common: Vec<_> = common.filter(|key| !key.varies(rows)).collect();
    rows.first()
        .map(|first| said(&common, first).join(", "))
        .filter(|title| !title.is_empty())
        .unwrap_or_else(|| "all rows".to_owned())
}

/// What tells a row from the others of its group, the transport first.
pub(crate) fn short_name(row: &Row, among: &[&Row]) -> String {
    let own: Vec<&Row> = among
        .iter()
        .filter(|other| Key::Transport.same(row, other))
        .copied()
        .collect();
    let keys = Key::ALL.iter().copied().filter(|key| match key {
        Key::Transport => true,
        Key::Runtime => key.varies(&own),
        _ => key.varies(among),
    });
    let texts: Vec<_> = keys.map(|key| key.text(row)).collect();
    texts.join(", ")
}

/// What of these a name has to tell.
pub(crate) fn said(keys: &[Key], row: &Row) -> Vec<String> {
    let keys = keys.iter().filter(|key| !key.goes_without_saying(row));
    keys.map(|key| key.text(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_group_is_split_until_its_lines_can_be_told_apart() {
        let report = sample::comparison();
        let rows: Vec<&Row> = report.rows.iter().collect();
        let parts = split(&rows, 8);
        assert!(parts.iter().all(|part| (1..=8).contains(&part.len())));
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), rows.len());
        for part in &parts {
            let mut names: Vec<_> = part.iter().map(|row| short_name(row, part)).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), part.len(), "{names:?}");
        }
    }

    #[test]
    fn the_same_rows_in_great_number_still_make_small_groups() {
        let row = sample::row("ipc", 10.0);
        let rows = vec![&row; 20];
        let sizes: Vec<_> = split(&rows, 8).iter().map(Vec::len).collect();
        assert_eq!(sizes, [8, 8, 4]);
    }

    #[test]
    fn a_name_says_the_runtime_only_where_a_transport_has_several() {
        let raw = sample::row("raw", 8.0);
        let mut ipc = sample::row("ipc", 9.0);
        assert_eq!(short_name(&ipc, &[&raw, &ipc]), "ipc");
        let one = ipc.clone();
        ipc.runtime = "blocking".to_owned();
        assert_eq!(short_name(&ipc, &[&raw, &one, &ipc]), "ipc, blocking");
        assert_eq!(short_name(&raw, &[&raw, &one, &ipc]), "raw");
    }

    #[test]
    fn a_full_name_says_what_is_unusual() {
        let mut row = sample::row("ipc", 9.0);
        assert_eq!(
            full_name(&row),
            "ipc, multi_thread, unary, 64 B, pinned same, 1 connection, 1 in flight"
        );
        (row.processes, row.rate) = (2, Some(20_000.0));
        assert!(
            full_name(&row).ends_with("2 processes, 1 connection, 1 in flight, 20 k/s offered")
        );
        row.arrivals = Some("poisson".to_owned());
        assert!(full_name(&row).ends_with("20 k/s offered"));
        (row.arrivals, row.deadline) = (Some("constant".to_owned()), false);
        row.uids = vec![501, 502];
        assert!(full_name(&row).ends_with("constant arrivals, no deadline, users 501, 502"));
    }

    #[test]
    fn a_method_keeps_its_name() {
        let mut row = sample::row("ipc", 9.0);
        row.scenario = "one_way".to_owned();
        assert_eq!(Key::Scenario.text(&row), "one way");
        row.scenario = "user.Jobs/get_it".to_owned();
        assert_eq!(Key::Scenario.text(&row), "user.Jobs/get_it");
    }

    #[test]
    fn the_raw_row_that_is_made_for_a_workload_comes_first() {
        let names = ["raw_pipelined", "ipc", "raw_epoll", "raw"];
        for (connections, in_flight, first) in [
            (1, 1, "raw"),
            (1, 64, "raw_pipelined"),
            (64, 1, "raw_epoll"),
            (64, 4, "raw_epoll"),
        ] {
            let rows = names.map(|name| {
                let mut row = sample::row(name, 8.0);
                (row.connections, row.in_flight) = (connections, in_flight);
                row
            });
            let beside = raw_beside(&rows, &rows[1]);
            assert_eq!(beside.len(), 3);
            assert_eq!(beside[0].transport, first);
        }
        let [one, mut other] = [1, 2].map(|_| sample::row("raw", 8.0));
        other.payload_bytes = 1;
        assert!(raw_beside(&[other], &one).is_empty());
    }
}
