//! Which colour and which dashes a line has.

use crate::report::keys::is_raw;
use crate::report::row::Row;

/// How a line looks; the style sheet has the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    colour: usize,
    dash: usize,
}

impl Style {
    pub(super) fn class(self) -> String {
        format!("c{} d{}", self.colour, self.dash)
    }
}

/// A colour for each transport, the same all over the page.
pub(super) struct Palette {
    transports: Vec<String>,
}

impl Palette {
    /// The first raw one is grey, `ipc` comes next, then the others as they appear.
    pub(super) fn of(rows: &[Row]) -> Self {
        let raw = rows.iter().find(|row| row.transport == "raw");
        let raw = raw.or_else(|| rows.iter().find(|row| is_raw(row)));
        let raw = raw.map_or("raw", |row| row.transport.as_str());
        let mut transports = vec![raw.to_owned(), "ipc".to_owned()];
        for row in rows {
            if !transports.contains(&row.transport) {
                transports.push(row.transport.clone());
            }
        }
        Self { transports }
    }

    /// By transport, with other dashes for each further row of the same one. Where only one
    /// transport is there, the rows have a colour each.
    pub(super) fn styles(&self, rows: &[&Row]) -> Vec<Style> {
        let first = rows.first();
        let one = rows.len() > 1
            && rows
                .iter()
                .all(|row| Some(&row.transport) == first.map(|row| &row.transport));
        let style = |(index, row): (usize, &&Row)| {
            if one {
                return Style {
                    colour: 1 + index % (COLOURS - 1),
                    dash: 0,
                };
            }
            let before = rows[..index].iter();
            let same = before.filter(|other| other.transport == row.transport);
            Style {
                colour: self.colour(&row.transport),
                dash: same.count() % DASHES,
            }
        };
        rows.iter().enumerate().map(style).collect()
    }

    /// The colour of a transport.
    pub(super) fn colour(&self, transport: &str) -> usize {
        let place = self.transports.iter().position(|other| other == transport);
        match place.unwrap_or_default() {
            grey @ 0 => grey,
            place => 1 + (place - 1) % (COLOURS - 1),
        }
    }
}

/// Colours and kinds of dashes in the style sheet.
const COLOURS: usize = 9;
const DASHES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_transport_has_one_colour_and_its_rows_have_their_own_dashes() {
        let report = sample::comparison();
        let palette = Palette::of(&report.rows);
        let rows: Vec<&Row> = report.rows[..8].iter().collect();
        let styles = palette.styles(&rows);
        assert_eq!(styles[1].colour, styles[2].colour);
        assert_ne!(styles[1].dash, styles[2].dash);
        for (at, style) in styles.iter().enumerate() {
            assert!(!styles[..at].contains(style), "{style:?}");
        }
    }

    #[test]
    fn rows_of_one_transport_differ_in_colour() {
        let report = sample::comparison();
        let palette = Palette::of(&report.rows);
        let styles = palette.styles(&[&report.rows[1], &report.rows[9]]);
        assert_ne!(styles[0].colour, styles[1].colour);
    }

    #[test]
    fn every_class_is_in_the_style_sheet() {
        let sheet = include_str!("style.css");
        for colour in 0..COLOURS {
            assert!(sheet.contains(&format!(".c{colour} ")), "c{colour}");
        }
        for dash in 1..DASHES {
            assert!(sheet.contains(&format!(".d{dash} ")), "d{dash}");
        }
    }
}
