use std::fmt::Write as _;

use serde::Serialize;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Larger is better.
    AtLeast(f64),
    /// Smaller is better.
    AtMost(f64),
    /// Told for what it is.
    None,
}

/// One result.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Stable, for programs.
    pub id: &'static str,
    /// What was measured against what.
    pub what: &'static str,
    /// The result.
    pub value: f64,
    /// `x` for a ratio, `MiB`, `ms` ...
    pub unit: &'static str,
    /// What it should be.
    pub target: Target,
    /// Whether it is.
    pub ok: bool,
    /// The two sides of it, in words.
    pub detail: String,
}

impl Figure {
    pub(super) fn new(
        id: &'static str,
        what: &'static str,
        (value, unit): (f64, &'static str),
        target: Target,
        detail: String,
    ) -> Self {
        let ok = match target {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
            Target::None => true,
        };
        Self { id, what, value, unit, target, ok, detail }
    }
}

/// All results.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// In the order in which they were measured.
    pub figures: Vec<Figure>,
}

impl Report {
    /// Whether each figure is what it should be.
    pub fn ok(&self) -> bool {
        self.figures.iter().all(|figure| figure.ok)
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut rows = vec![["".into(), "figure".into(), "is".into(), "should be".into()]];
        for figure in &self.figures {
            let mark = match (figure.target, figure.ok) {
                (Target::None, _) => "",
                (_, true) => "ok",
                (_, false) => "OVER",
            };
            rows.push([
                mark.to_owned(),
                figure.what.to_owned(),
                number(figure.value, figure.unit),
                match figure.target {
                    Target::AtLeast(least) => format!("at least {}", number(least, figure.unit)),
                    Target::AtMost(most) => format!("at most {}", number(most, figure.unit)),
                    Target::None => String::new(),
                },
            ]);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..4).filter_map(width).collect();
        let mut table = String::new();
        for (index, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(table, "{}", line.trim_end()).expect("writing to a String");
            if let Some(figure) = index.checked_sub(1).and_then(|index| self.figures.get(index)) {
                writeln!(table, "{:<width$}  {}", "", figure.detail, width = widths[0])
                    .expect("writing to a String");
            }
        }
        table
    }
}

fn number(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 || (value - value.round()).abs() < 1e-9 { 0 } else { 2 };
    match unit {
        "x" => format!("{value:.2} x"),
        "" => format!("{value:.digits$}"),
        unit => format!("{value:.digits$} {unit}"),
    }
}
