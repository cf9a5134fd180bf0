//! Tables of text: columns as wide as their widest cell, two spaces apart.

use crate::terminal::{clean, cut};

const GAP: &str = "  ";

/// Rows under titles. The last column has no width: what is too long there is cut at the terminal.
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
    let cells: Vec<String> =
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    let mut line = cut(cells.join(GAP).trim_end(), columns);
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
    fn a_table_without_rows_shows_its_titles() {
        assert_eq!(Table::new(["ID", "KIND"]).render(None), "ID  KIND\n");
    }
}
