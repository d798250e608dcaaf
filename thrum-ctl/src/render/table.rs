//! Tables without borders, which work in every terminal, in mail and with `awk`.

use anstyle::Style;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use textwrap::core::display_width;

use crate::printer::{BOLD, styled};
use crate::terminal::sanitize;

/// Columns between two cells.
const GAP: usize = 2;
/// What stands for the rest of a text that is cut off.
const CUT: &str = "..";

/// A table builder.
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Row>,
    right: Vec<usize>,
}

struct Row {
    cells: Vec<String>,
    style: Option<Style>,
    /// Text that stands where the cells after these would begin, and needs no room of a column.
    rest: String,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
        Self { headings, rows: Vec::new(), right: Vec::new() }
    }

    /// Aligns these columns to the right.
    #[must_use]
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right.extend(columns);
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.push(cells, None, "");
    }

    /// Adds a row in a style.
    pub fn styled_row(&mut self, cells: Vec<String>, style: Style) {
        self.push(cells, Some(style), "");
    }

    /// Adds a row whose last cells are replaced by a text over all of them.
    pub fn row_with_rest(&mut self, cells: Vec<String>, rest: &str) {
        self.push(cells, None, rest);
    }

    fn push(&mut self, cells: Vec<String>, style: Option<Style>, rest: &str) {
        let cells = cells.iter().map(|cell| sanitize(cell).into_owned()).collect();
        self.rows.push(Row { cells, style, rest: sanitize(rest).into_owned() });
    }

    /// Cuts the cells of one column so that the table has at most so many columns. None if fewer than `least` would be
    /// left for it.
    #[must_use]
    pub fn fitted(mut self, column: usize, columns: usize, least: usize) -> Option<Self> {
        let widths = self.widths();
        let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let width = widths.get(column)?.checked_sub(total.saturating_sub(columns));
        let width = width.filter(|width| total <= columns || *width >= least)?;
        for cell in self.rows.iter_mut().filter_map(|row| row.cells.get_mut(column)) {
            *cell = cut(cell, width);
        }
        Some(self)
    }

    /// The width of each column.
    fn widths(&self) -> Vec<usize> {
        let width = |index: usize, heading: &String| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(index));
            cells.chain([heading]).map(|cell| display_width(cell)).max().unwrap_or_default()
        };
        self.headings.iter().enumerate().map(|(index, heading)| width(index, heading)).collect()
    }

    /// The lines of the table, without trailing blanks.
    pub fn lines(&self) -> Vec<String> {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::NOTHING);
        // Rows are never wrapped here; the terminal wraps those that are too wide.
        inner.set_content_arrangement(ContentArrangement::Disabled);
        inner.set_header(&self.headings);
        for row in &self.rows {
            inner.add_row(&row.cells);
        }
        let gap = u16::try_from(GAP).unwrap_or_default();
        for (index, column) in inner.column_iter_mut().enumerate() {
            column.set_padding((0, gap));
            if self.right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let widths = inner.column_max_content_widths();
        let text = inner.to_string();
        let mut lines = text.lines();
        let heading = lines.next().map(|line| styled(BOLD, line.trim_end()));
        let rows = lines.zip(&self.rows).map(|(line, row)| {
            // The cells that are not there are as many blanks as their columns are wide.
            let after = widths.iter().skip(row.cells.len());
            let blanks: usize = after.map(|width| usize::from(*width) + GAP).sum();
            let cells = line.get(..line.len().saturating_sub(blanks)).unwrap_or(line);
            let line = match row.rest.as_str() {
                "" => line.trim_end().to_owned(),
                rest => format!("{cells}{rest}"),
            };
            match row.style {
                Some(style) => styled(style, &line),
                None => line,
            }
        });
        heading.into_iter().chain(rows).collect()
    }
}

/// The beginning of a line that fits into so many columns.
fn cut(text: &str, columns: usize) -> String {
    if display_width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(CUT.len());
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if display_width(&kept) > room {
            kept.pop();
            break;
        }
    }
    format!("{}{CUT}", kept.trim_end())
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

    fn plain(table: &Table) -> Vec<String> {
        table.lines().iter().map(|line| strip_str(line).to_string()).collect()
    }

    #[test]
    fn a_text_may_stand_in_place_of_the_last_cells() {
        let mut table = Table::new(&["ID", "TO", "READ"]);
        table.row_with_rest(vec!["1".into()], "a long text that\nneeds no column");
        table.row_with_rest(vec!["2".into(), "日本".into()], "here");
        table.row(vec!["3".into(), "reviewer".into(), "now".into()]);
        let shown = [
            "ID  TO        READ",
            "1   a long text that\\nneeds no column",
            "2   日本      here",
            "3   reviewer  now",
        ];
        assert_eq!(plain(&table), shown);
    }

    #[test]
    fn one_column_gives_way_until_too_little_is_left_of_it() {
        let table = || {
            let mut table = Table::new(&["A", "ON", "SINCE"]);
            table.row(vec!["coder".into(), "fix the race in auth".into(), "4m".into()]);
            table
        };
        assert_eq!(plain(&table().fitted(1, 34, 10).unwrap()), plain(&table()));
        let cut = plain(&table().fitted(1, 24, 10).unwrap());
        assert_eq!(cut, ["A      ON         SINCE", "coder  fix the..  4m"]);
        assert!(table().fitted(1, 23, 10).is_none());
        assert_eq!(super::cut("日本日本", 5), "日..");
    }
}
