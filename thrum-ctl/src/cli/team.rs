use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use thrum_api::event::SessionState;

use crate::candidates;

/// Options of `thrum team`.
#[derive(Debug, Args)]
pub struct TeamArgs {
    /// Agents of every project
    #[arg(long)]
    pub all_projects: bool,
    /// Also agents not seen for 30 days, removed ones, and those of daemons that no longer exist: their machine was
    /// set up anew and paired again
    #[arg(long)]
    pub all: bool,
    /// Keep showing them, redrawn when something changes
    #[arg(long)]
    pub watch: bool,
}

/// `thrum agent ...`
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Make an agent of this machine known, and say what it is for
    #[command(before_help = "Examples:\n  \
        thrum agent register reviewer --about \"reads every change\"")]
    Register(RegisterArgs),
    /// Take an agent of this machine from the lists, until it does something again. Its messages stay
    #[command(before_help = "Examples:\n  thrum agent remove reviewer")]
    Remove {
        /// Its name
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::names))]
        name: String,
    },
}

/// Arguments of `thrum agent register`.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Its name [default: yours]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// What it is for, at most 500 characters; an empty text removes it
    #[arg(long, value_name = "TEXT")]
    pub about: Option<String>,
}

/// `thrum session ...`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Tell that a tool has begun to work, and print the id of its session
    #[command(before_help = "Examples:\n  \
        thrum session start --as coder --tool claude          ends with the process that runs this\n  \
        thrum session start --as coder --pid $PPID --id $ID   in a script: the process above it")]
    Start(SessionStartArgs),
    /// Tell what a session does now
    #[command(before_help = "Examples:\n  \
        thrum session update --state idle\n  \
        thrum session update --question \"may I push to main?\"      it needs you\n  \
        thrum session update --state working --task \"fix auth race\"")]
    Update(SessionUpdateArgs),
    /// Tell that a session has ended
    #[command(before_help = "Examples:\n  thrum session end")]
    End(SessionEndArgs),
}

/// What a session does, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// It works.
    Working,
    /// It has nothing to do.
    Idle,
    /// It waits for a message.
    Waiting,
    /// It has a question for a person.
    NeedsYou,
}

impl From<State> for SessionState {
    fn from(state: State) -> Self {
        match state {
            State::Working => Self::Working,
            State::Idle => Self::Idle,
            State::Waiting => Self::Waiting,
            State::NeedsYou => Self::NeedsYou,
        }
    }
}

/// Options of `thrum session start`.
#[derive(Debug, Args)]
pub struct SessionStartArgs {
    /// The tool, such as claude
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// The id of the session [default: a new one]
    #[arg(long, value_name = "ID", env = "THRUM_SESSION", hide_env_values = true)]
    pub id: Option<String>,
    /// The process of the tool, with which the session ends [default: the one that runs this command]
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// What it works on
    #[arg(long, value_name = "TEXT")]
    pub task: Option<String>,
    /// What it does: working, idle, waiting or needs-you [default: working]
    #[arg(long, value_name = "STATE", value_enum, hide_possible_values = true)]
    pub state: Option<State>,
    /// The question, with the state needs-you
    #[arg(long, value_name = "TEXT")]
    pub question: Option<String>,
    /// The branch [default: that of the folder]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// The folder that it works in [default: this one]
    #[arg(long, value_name = "PATH")]
    pub folder: Option<PathBuf>,
}

/// Options of `thrum session update`.
#[derive(Debug, Args)]
pub struct SessionUpdateArgs {
    /// The session [default: the only one of the agent]
    #[arg(long, value_name = "ID", env = "THRUM_SESSION", hide_env_values = true, add = ArgValueCandidates::new(candidates::sessions))]
    pub id: Option<String>,
    /// What it does: working, idle, waiting or needs-you
    #[arg(long, value_name = "STATE", value_enum, hide_possible_values = true)]
    pub state: Option<State>,
    /// What it works on; an empty text removes it
    #[arg(long, value_name = "TEXT")]
    pub task: Option<String>,
    /// The question that it has for a person; without --state it needs you
    #[arg(long, value_name = "TEXT")]
    pub question: Option<String>,
    /// The branch
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
}

/// Options of `thrum session end`.
#[derive(Debug, Args)]
pub struct SessionEndArgs {
    /// The session [default: the only one of the agent]
    #[arg(long, value_name = "ID", env = "THRUM_SESSION", hide_env_values = true, add = ArgValueCandidates::new(candidates::sessions))]
    pub id: Option<String>,
}

/// `thrum group ...`
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Add members to a group; the first one makes the group
    #[command(before_help = "Examples:\n  thrum group add reviewers ann bob@office-server")]
    Add(MembersArgs),
    /// Remove members from a group; the last one ends the group
    #[command(before_help = "Examples:\n  thrum group remove reviewers ann")]
    Remove(MembersArgs),
    /// List the groups of the project and their members
    #[command(before_help = "Examples:\n  \
        thrum group list\n  \
        thrum group list reviewers -q        the members, one a line")]
    List {
        /// Only this group
        #[arg(value_name = "GROUP", add = ArgValueCandidates::new(candidates::groups))]
        group: Option<String>,
    },
}

/// Arguments of `thrum group add` and `thrum group remove`.
#[derive(Debug, Args)]
pub struct MembersArgs {
    /// The group, with or without @
    #[arg(value_name = "GROUP", add = ArgValueCandidates::new(candidates::groups))]
    pub group: String,
    /// The members: NAME, or NAME@MACHINE
    #[arg(value_name = "NAME", required = true, add = ArgValueCandidates::new(candidates::addresses))]
    pub members: Vec<String>,
}

/// `thrum socket ...`
#[derive(Debug, Subcommand)]
pub enum SocketCommand {
    /// Serve a narrow socket for the project, with --as for one agent only, and print its path
    #[command(before_help = "Examples:\n  \
        thrum socket add --project app                     any agent of this machine in app\n  \
        thrum socket add --project app --as coder          what it sends is from coder, always\n  \
        thrum socket add --project app /srv/app/thrum/s    mount /srv/app/thrum into the container")]
    Add {
        /// The socket [default: in a folder of its own beside the socket of thrumd]
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
    },
    /// List the narrow sockets
    #[command(before_help = "Examples:\n  thrum socket list")]
    List,
    /// End a narrow socket
    #[command(before_help = "Examples:\n  thrum socket remove /srv/app/thrum/s")]
    Remove {
        /// Its path
        #[arg(value_name = "PATH", add = ArgValueCandidates::new(candidates::sockets))]
        path: PathBuf,
    },
}
