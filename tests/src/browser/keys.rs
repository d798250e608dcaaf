/// A key that writes no letter, as WebDriver names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// The tabulator: to the next control.
    Tab,
    /// Back to the control before.
    BackTab,
    /// Enter with Ctrl held.
    CtrlEnter,
}

impl Key {
    /// The characters that stand for it.
    pub(super) fn presses(self) -> &'static str {
        match self {
            Self::Enter => "\u{e007}",
            Self::Escape => "\u{e00c}",
            Self::Tab => "\u{e004}",
            // The last one lets go of what is held.
            Self::BackTab => "\u{e008}\u{e004}\u{e000}",
            Self::CtrlEnter => "\u{e009}\u{e007}\u{e000}",
        }
    }
}
