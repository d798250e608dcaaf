use std::fmt::Display;
use std::sync::mpsc;

use super::Daemon;

/// How many threads append at once.
const WRITERS: usize = 4;

/// Appends from several threads until that is refused, while `end` runs, which has to see to that. It is given the
/// texts of the appends that were acknowledged, as they come; the rest of them is returned.
pub fn while_appending<T>(
    daemon: &Daemon,
    name: impl Display,
    end: impl FnOnce(&mpsc::Receiver<String>) -> T,
) -> (T, mpsc::Receiver<String>) {
    let (sender, acknowledged) = mpsc::channel();
    let ended = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (name, sender) = (format!("{name} {writer}"), sender.clone());
            scope.spawn(move || {
                let texts = (0..).map(|n| format!("{name} {n}"));
                for text in texts.take_while(|text| daemon.try_append([text]).is_ok()) {
                    // Nobody may want to know any more.
                    let _unheard = sender.send(text);
                }
            });
        }
        drop(sender);
        end(&acknowledged)
    });
    (ended, acknowledged)
}
