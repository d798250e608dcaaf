//! Tables without borders, which work in every terminal, in mail and with `awk`.

use anstyle::Style;
use comfy_table::{CellAlignment, ContentArrangement, presets};

use crate::printer::{BOLD, styled};
use crate::terminal::sanitize;

/// A table builder.
pub struct Table {
    inner: comfy_table::Table,
    styles: Vec<Option<Style>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::NOTHING);
        // Rows are never wrapped here; the terminal wraps those that are too wide.
        inner.set_content_arrangement(ContentArrangement::Disabled);
        inner.set_header(headings);
        for column in inner.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { inner, styles: vec![Some(BOLD)] }
    }

    /// Aligns these columns to the right.
    #[must_use]
    pub fn right(mut self, columns: &[usize]) -> Self {
        for column in columns {
            if let Some(column) = self.inner.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.push(cells, None);
    }

    /// Adds a row in a style.
    pub fn styled_row(&mut self, cells: Vec<String>, style: Style) {
        self.push(cells, Some(style));
    }

    fn push(&mut self, cells: Vec<String>, style: Option<Style>) {
        let cells: Vec<String> = cells.iter().map(|cell| sanitize(cell).into_owned()).collect();
        self.inner.add_row(cells);
        self.styles.push(style);
    }

    /// The lines of the table, without trailing blanks.
    pub fn lines(&self) -> Vec<String> {
        let text = self.inner.to_string();
        text.lines()
            .zip(&self.styles)
            .map(|(line, style)| match style {
                Some(style) => styled(*style, line.trim_end()),
                None => line.trim_end().to_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn columns_line_up_without_a_terminal() {
        let mut table = Table::new(&["PEER", "LACK", "ADDRESS"]).right(&[1]);
        table.row(vec!["vm-1".into(), "0".into(), "100.64.0.7:9100".into()]);
        table.row(vec!["ci-runner".into(), "1,204".into(), "x".repeat(300)]);
        let lines: Vec<String> =
            table.lines().iter().map(|line| strip_str(line).to_string()).collect();
        assert_eq!(
            lines,
            [
                "PEER        LACK  ADDRESS".to_owned(),
                "vm-1           0  100.64.0.7:9100".to_owned(),
                format!("ci-runner  1,204  {}", "x".repeat(300)),
            ]
        );
    }

    #[test]
    fn a_cell_is_one_line() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec!["one\ntwo".into(), "b".into()]);
        assert_eq!(table.lines()[1], "one\\ntwo  b");
    }
}
