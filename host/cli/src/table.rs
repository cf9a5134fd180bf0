//! Tables of text: columns as wide as their widest cell, two spaces apart.

use crate::terminal::{clean, cut};

/// Spaces between two columns.
const GAP: usize = 2;

/// Rows under titles. The last column has no width: what is too long there is cut at the terminal. Cells may have any length.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(titles: [&str; N]) -> Self {
        Self { rows: vec![titles.map(str::to_owned)] }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| clean(&cell)));
    }

    /// One line a row, cut to `columns` if given. Every line ends with a line feed.
    pub(crate) fn render(&self, columns: Option<usize>) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        self.rows.iter().map(|row| line(row, &widths, columns)).collect()
    }
}

fn line(row: &[String], widths: &[usize], columns: Option<usize>) -> String {
    let mut line = String::new();
    // By hand: `{:width$}` panics at widths above 65535.
    let mut owed = 0;
    for (cell, width) in row.iter().zip(widths) {
        line.extend(std::iter::repeat_n(' ', owed));
        line.push_str(cell);
        owed = width.saturating_sub(cell.chars().count()) + GAP;
    }
    let mut line = cut(line.trim_end(), columns);
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<3> {
        let mut table = Table::new(["ID", "STATE", "REASON"]);
        table.row(["1".into(), "done".into(), String::new()]);
        table.row(["22".into(), "scheduled".into(), "tries\nagain after a läng while".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces() {
        assert_eq!(
            table().render(None),
            "ID  STATE      REASON\n\
             1   done\n\
             22  scheduled  tries again after a läng while\n"
        );
    }

    #[test]
    fn on_a_terminal_the_last_column_is_cut() {
        assert_eq!(
            table().render(Some(25)),
            "ID  STATE      REASON\n\
             1   done\n\
             22  scheduled  tries aga…\n"
        );
    }

    #[test]
    fn a_cell_longer_than_a_format_can_pad_is_a_cell() {
        let mut table = Table::new(["NAME", "REASON"]);
        table.row(["x".repeat(70_000), "y".repeat(70_000)]);
        table.row(["short".into(), "why".into()]);
        assert_eq!(table.render(Some(8)), "NAME   …\nxxxxxxx…\nshort  …\n");
        assert!(table.render(None).ends_with("  why\n"));
    }

    #[test]
    fn a_table_without_rows_shows_its_titles() {
        assert_eq!(Table::new(["ID", "KIND"]).render(None), "ID  KIND\n");
    }
}
