//! The one table of a run.

use std::fmt::Write as _;

use crate::series::Series;

/// One figure: ours, what it stands beside, and what it should be.
#[derive(Debug)]
pub(crate) struct Row {
    cell: String,
    figure: &'static str,
    ours: Series,
    other: Option<(String, Series)>,
    target: Option<Target>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At least so many times the other.
    RatioAtLeast(f64),
    /// At most so many times the other.
    RatioAtMost(f64),
    /// At most this.
    AtMost(f64),
}

impl Row {
    /// A figure of the host.
    pub(crate) fn new(cell: impl Into<String>, figure: &'static str, ours: Series) -> Self {
        Self { cell: cell.into(), figure, ours, other: None, target: None }
    }

    /// What it stands beside.
    pub(crate) fn beside(mut self, name: &str, other: Series) -> Self {
        self.other = Some((name.to_owned(), other));
        self
    }

    /// What it stands beside, if that was measured.
    pub(crate) fn beside_peer(self, peer: Option<Series>) -> Self {
        match peer {
            Some(peer) => self.beside("peer", peer),
            None => self,
        }
    }

    /// What it should be.
    pub(crate) fn should_be(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn ratio(&self) -> Option<f64> {
        let (_, other) = self.other.as_ref()?;
        self.ours.over(other).median()
    }

    /// Whether it is what it should be; none if nothing was asked or measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        match self.target? {
            Target::RatioAtLeast(least) => Some(self.ratio()? >= least),
            Target::RatioAtMost(most) => Some(self.ratio()? <= most),
            Target::AtMost(most) => Some(self.ours.median()? <= most),
        }
    }

    fn cells(&self) -> [String; 7] {
        let other = match &self.other {
            Some((name, other)) => format!("{name} {}", spread(other)),
            None => String::new(),
        };
        let target = match self.target {
            Some(Target::RatioAtLeast(least)) => format!("≥ {}x", number(least)),
            Some(Target::RatioAtMost(most)) => format!("≤ {}x", number(most)),
            Some(Target::AtMost(most)) => format!("≤ {}", number(most)),
            None => String::new(),
        };
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        [
            self.cell.clone(),
            self.figure.to_owned(),
            spread(&self.ours),
            other,
            self.ratio().map_or_else(String::new, |ratio| format!("{}x", number(ratio))),
            target,
            met.to_owned(),
        ]
    }
}

/// The table, in Markdown.
pub(crate) fn render(rows: &[Row]) -> String {
    let head = ["cell", "figure", "roughneck", "beside", "ratio", "target", ""].map(str::to_owned);
    let lines: Vec<[String; 7]> =
        std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    markdown(&lines)
}

/// Lines of cells as a table in Markdown; the first is its head.
pub(crate) fn markdown(lines: &[impl AsRef<[String]>]) -> String {
    let lines: Vec<&[String]> = lines.iter().map(AsRef::as_ref).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = lines.iter().map(|line| line.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, &width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for &width in &widths {
                let _ = write!(text, "| {} ", "-".repeat(width.max(3)));
            }
            text.push_str("|\n");
        }
    }
    text
}

fn spread(series: &Series) -> String {
    match (series.median(), series.range()) {
        (Some(median), Some((least, greatest))) if least < greatest => {
            format!("{} [{}–{}]", number(median), number(least), number(greatest))
        }
        (Some(median), _) => number(median),
        (None, _) => "not measured".to_owned(),
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        values.iter().copied().collect()
    }

    #[test]
    fn a_row_says_whether_its_target_is_met() {
        let row = Row::new("enqueue 64", "jobs/s", series(&[8000.0, 9000.0]))
            .beside("peer", series(&[1000.0, 1000.0]));
        let met = |target| row.cells_with(target);
        assert_eq!(met(Target::RatioAtLeast(8.0)), ["8.50x", "≥ 8.00x", "met"]);
        assert_eq!(met(Target::RatioAtMost(0.5)), ["8.50x", "≤ 0.500x", "missed"]);
        assert_eq!(met(Target::AtMost(35.0)), ["8.50x", "≤ 35.0", "missed"]);
    }

    impl Row {
        fn cells_with(&self, target: Target) -> [String; 3] {
            let row = Row {
                cell: String::new(),
                figure: "",
                ours: self.ours.clone(),
                other: self.other.clone(),
                target: Some(target),
            };
            let [_, _, _, _, ratio, target, met] = row.cells();
            [ratio, target, met]
        }
    }

    #[test]
    fn without_a_peer_a_ratio_is_neither_met_nor_missed() {
        let row = Row::new("a", "b", series(&[1.0]))
            .beside_peer(None)
            .should_be(Target::RatioAtLeast(2.0));
        assert_eq!(row.is_met(), None);
        assert!(render(&[row]).contains("| a    | b      | 1.00      |"));
    }
}
