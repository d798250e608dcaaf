use std::str::FromStr;

use thrum_api::local::HookPoint;

use crate::setup::point_name;

/// A point of a session, as it is written into the files of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The session has begun.
    SessionStart,
    /// A turn begins.
    Prompt,
    /// Between two steps of a turn.
    Step,
    /// The turn would end.
    Stop,
    /// A person has interrupted the turn.
    Interrupt,
    /// The session ends.
    SessionEnd,
    /// No point: the plugin of a tool waits for what wakes its sessions.
    Listen,
}

impl Point {
    const ALL: [Self; 7] = [
        Self::SessionStart,
        Self::Prompt,
        Self::Step,
        Self::Stop,
        Self::Interrupt,
        Self::SessionEnd,
        Self::Listen,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self.hook_point() {
            Some(point) => point_name(point),
            None => "listen",
        }
    }

    /// What the daemon is told.
    pub const fn hook_point(self) -> Option<HookPoint> {
        Some(match self {
            Self::SessionStart => HookPoint::SessionStart,
            Self::Prompt => HookPoint::Prompt,
            Self::Step => HookPoint::Step,
            Self::Stop => HookPoint::Stop,
            Self::Interrupt => HookPoint::Interrupt,
            Self::SessionEnd => HookPoint::SessionEnd,
            Self::Listen => return None,
        })
    }
}

impl FromStr for Point {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|point| point.name() == text).ok_or(())
    }
}
