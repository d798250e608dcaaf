//! Real daemons in temporary directories on the loopback kind, real clients, and peers that
//! misbehave.
//!
//! Everything blocks and every wait has a limit. A test that fails keeps the directories of its
//! daemons and prints the end of their logs.

mod backoff;
mod change_reader;
mod client;
mod cut_disk;
mod daemon;
mod dice;
mod events;
mod fake_peer;
mod folder;
pub mod http;
mod isolated;
mod kept;
mod key;
mod mcp;
mod origin;
mod other_user;
mod output;
mod pairing;
mod ports;
pub mod process;
mod programs;
mod pty;
mod retry;
mod rpc;
mod scrape;
mod sealed;
mod setup;
mod skip;
mod status;
mod terminal;
mod tmpfs;
mod ui;
mod wait;
mod wire;
mod words;
mod writers;

pub use backoff::backs_off;
pub use change_reader::ChangeReader;
pub use client::{Client, Ran};
pub use cut_disk::CutDisk;
pub use daemon::Daemon;
pub use dice::{Dice, number};
pub use events::{converge, drafts, event_of, event_text, same_events};
pub use fake_peer::{Answer, FakePeer, Heard};
pub use folder::every_file_is_a_module;
pub use isolated::can_isolate;
pub use kept::KeptCaller;
pub use key::{daemon_id, key};
pub use mcp::{MODERN, Mcp};
pub use origin::{Origin, Written};
pub use other_user::{OtherUser, allow};
pub use output::{ended_within, output_within};
pub use pairing::{pair, pair_line, pair_request, paired_daemons};
pub use ports::Port;
pub use programs::{copy_program, program, write_script};
pub use pty::{Drawn, Pty};
pub use retry::{connect_unix, read_some, uninterrupted};
pub use rpc::{CallError, PeerCaller};
pub use scrape::{Sample, Scrape, ask_http};
pub use sealed::{inside_sealed, run_again_sealed, run_sealed, test_of, this_program_sealed};
pub use setup::Setup;
pub use skip::skip;
pub use status::in_sync;
pub use terminal::Terminal;
pub use tmpfs::Tmpfs;
pub use ui::{Changes, Ui};
pub use wait::{LONG, SHORT, eventually, holds};
pub use wire::{Wire, WireState};
pub use words::has_word;
pub use writers::while_appending;
