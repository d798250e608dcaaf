use fantoccini::actions::KeyAction;

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
    /// The presses that it stands for, in their order.
    pub(super) fn strokes(self) -> Vec<KeyAction> {
        match self {
            Self::Enter => stroke(ENTER),
            Self::Escape => stroke('\u{e00c}'),
            Self::Tab => stroke(TAB),
            Self::BackTab => held('\u{e008}', TAB),
            Self::CtrlEnter => held('\u{e009}', ENTER),
        }
    }
}

const ENTER: char = '\u{e007}';
const TAB: char = '\u{e004}';

/// A key is pressed and let go of.
pub(super) fn stroke(key: char) -> Vec<KeyAction> {
    vec![KeyAction::Down { value: key }, KeyAction::Up { value: key }]
}

/// A key is pressed while another is held.
fn held(modifier: char, key: char) -> Vec<KeyAction> {
    let mut strokes = vec![KeyAction::Down { value: modifier }];
    strokes.extend(stroke(key));
    strokes.push(KeyAction::Up { value: modifier });
    strokes
}
