use clap::Subcommand;

use super::backup::{BackupArgs, RestoreArgs};
use super::conversation::{DeleteArgs, ReadArgs, SearchArgs, SentArgs, ShowArgs, ThreadArgs};
use super::daemon::{DaemonCommand, DemoArgs, DoctorArgs, StatusArgs};
use super::generate::GenerateCommand;
use super::hooks::{HookArgs, PrimeArgs, WakeCommand};
use super::init::InitArgs;
use super::mcp::McpArgs;
use super::messages::{EventsArgs, InboxArgs, ReplyArgs, SendArgs, WaitArgs};
use super::metrics::MetricsArgs;
use super::peers::PeerCommand;
use super::quarantine::QuarantineArgs;
use super::team::{AgentCommand, GroupCommand, SessionCommand, SocketCommand, TeamArgs};
use super::ui::UiArgs;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the state of this machine: daemon, log, peers, problems
    #[command(before_help = "Examples:\n  \
        thrum status                 everything on one screen\n  \
        thrum status --watch         the same, refreshed every 2 seconds\n  \
        thrum status --check         print nothing; exit code 6 if there is a problem")]
    Status(StatusArgs),
    /// Check every part from the programs to the peers, and show how to repair what is broken
    #[command(before_help = "Examples:\n  \
        thrum doctor                 all checks; exit code 6 if one fails\n  \
        thrum doctor -q              only the failed ones\n  \
        thrum doctor --report        to paste into an issue: no names, addresses or messages")]
    Doctor(DoctorArgs),
    /// Send a message to agents on any machine
    #[command(before_help = "Examples:\n  \
        thrum send coder \"the parser is yours\"\n  \
        thrum send coder \"is it safe?\" --wait-reply 10m\n  \
        thrum send coder@office-server \"hi\"  the coder of one machine only\n  \
        thrum send coder @reviewers \"done\"   an agent and a group\n  \
        thrum send --all \"lunch\"              everyone in the project\n  \
        git diff | thrum send coder -         read the message from stdin\n  \
        thrum send coder -- \"--json\"          send a message that looks like an option")]
    Send(SendArgs),
    /// Answer a message, in its conversation
    #[command(before_help = "Examples:\n  \
        thrum reply 7QX2AB \"looks right; one question: ...\"\n  \
        make test 2>&1 | tail -50 | thrum reply 7QX2AB -      read the answer from stdin")]
    Reply(ReplyArgs),
    /// Show your messages and mark them as read
    #[command(before_help = "Examples:\n  \
        thrum inbox                  unread messages, and earlier ones that were read\n  \
        thrum inbox --unread --json  for programs\n  \
        thrum inbox --from coder --since 2h\n  \
        thrum inbox --count -q       the unread count for a shell prompt; empty if thrumd doesn't run")]
    Inbox(InboxArgs),
    /// Wait for the next message from this machine or a peer
    #[command(before_help = "Examples:\n  \
        thrum wait --timeout 10m     exit code 5 if no message came\n  \
        thrum wait --follow          print each as it arrives\n  \
        thrum wait --claim           others that wait with --claim don't get the same message")]
    Wait(WaitArgs),
    /// Show a conversation and mark its messages as read
    #[command(before_help = "Examples:\n  \
        thrum thread 7QX2AB          the conversation that this message belongs to")]
    Thread(ThreadArgs),
    /// Show one message whole, and how far it got if you sent it
    #[command(before_help = "Examples:\n  thrum show 7QX2AB")]
    Show(ShowArgs),
    /// Mark messages as read
    #[command(before_help = "Examples:\n  thrum read 7QX2AB 8R04CD")]
    Read(ReadArgs),
    /// Delete a message of yours, on every machine
    #[command(before_help = "Examples:\n  thrum delete 7QX2AB")]
    Delete(DeleteArgs),
    /// Show the messages that you sent, and how far each got
    #[command(before_help = "Examples:\n  \
        thrum sent                   stored here, there, read, answered, or what is in the way\n  \
        thrum sent 7QX2AB            every recipient of one message")]
    Sent(SentArgs),
    /// Look for words in the messages that are on this machine
    #[command(before_help = "Examples:\n  \
        thrum search lock order      messages with both words\n  \
        thrum search '\"lock order\"' --from coder --since 7d\n  \
        thrum search 'dead*'         words that begin with dead")]
    Search(SearchArgs),
    /// Set up an agent's tool: MCP server, hooks and permissions
    #[command(before_help = "Examples:\n  \
        thrum init claude-code             in this folder; shows what it writes, and asks\n  \
        thrum init codex --as reviewer     with another name than that of the project\n  \
        thrum init codex --user            for you, in every folder\n  \
        thrum init script                  lines in AGENTS.md for a tool without hooks\n  \
        thrum init claude-code --undo      take it back\n  \
        thrum init --list                  which tools are here, and which are set up")]
    Init(InitArgs),
    /// Show the agents of the project: where each is, what it does, and who needs you
    #[command(before_help = "Examples:\n  \
        thrum team                   agents of this project\n  \
        thrum team --watch           the same, redrawn when something changes\n  \
        thrum team --all-projects")]
    Team(TeamArgs),
    /// Show machines, agents and messages on a live page in your browser
    #[command(before_help = "Examples:\n  \
        thrum ui                         open the page; Ctrl-C ends it\n  \
        thrum ui --as alice              send and read as alice\n  \
        thrum ui --no-open --port 4173   print the address, for a browser of your choice")]
    Ui(UiArgs),
    /// Show who you are: agent, project, machine, session
    #[command(before_help = "Examples:\n  thrum whoami --as planner")]
    Whoami,
    /// Register and remove agents of this machine
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum agent register reviewer --about \"reads every change\"\n  \
        thrum agent remove reviewer"
    )]
    Agent(AgentCommand),
    /// Tell what a live tool does as an agent; for hooks
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum session start --as coder --tool claude --pid $PPID\n  \
        thrum session update --as coder --task \"fix auth race\""
    )]
    Session(SessionCommand),
    /// Tell a model who it is, who is there, what is unread and how to answer
    #[command(before_help = "Examples:\n  \
        thrum prime --as coder\n  \
        thrum prime --tool codex     as its hook does at the start of a session")]
    Prime(PrimeArgs),
    /// Switch off, and on again, that messages wake idle sessions
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum wake off               in this project\n  \
        thrum wake off --all-projects\n  \
        thrum wake status"
    )]
    Wake(WakeCommand),
    /// What the hooks of agents' tools run: `thrum init` writes it into their files. Reads JSON, and always ends with 0
    #[command(
        hide = true,
        before_help = "Examples:\n  \
        echo '{\"session_id\":\"s1\",\"cwd\":\"/app\"}' | thrum hook codex prompt\n  \
        THRUM_HOOK_DEBUG=1 thrum hook codex stop <input.json     with errors on stderr"
    )]
    Hook(HookArgs),
    /// Give several agents a common name
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum group add reviewers ann bob@office-server\n  \
        thrum send @reviewers \"please look at the lock order\""
    )]
    Group(GroupCommand),
    /// Serve narrow sockets for containers and sandboxes: one project, no peers, no settings
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum socket add --project app --as coder\n  \
        thrum socket list"
    )]
    Socket(SocketCommand),
    /// Serve messages to an agent's tool over MCP; the tool starts it
    #[command(before_help = "Examples:\n  \
        claude mcp add thrum -- thrum mcp        Claude Code, for you and this project\n  \
        thrum mcp --tool codex                   what the settings of a tool name")]
    Mcp(McpArgs),
    /// Print the events in the log
    #[command(before_help = "Examples:\n  \
        thrum events                       the last 20\n  \
        thrum events --follow --json       every new one, one JSON object per line\n  \
        thrum events --after 0 --type message.sent\n  \
        thrum events --project NAME        events of one project, as with THRUM_PROJECT")]
    Events(EventsArgs),
    /// List the events that could not be stored or interpreted, and drop them once you have seen them
    #[command(before_help = "Examples:\n  \
        thrum quarantine             what came from where, and why it is no event\n  \
        thrum quarantine --clear     ends the warning in status and doctor")]
    Quarantine(QuarantineArgs),
    /// Print the metrics of thrumd, or write them to a file for node_exporter
    #[command(before_help = "Examples:\n  \
        thrum metrics                the text that Prometheus scrapes\n  \
        thrum metrics -q --textfile /var/lib/prometheus/node-exporter/thrum.prom")]
    Metrics(MetricsArgs),
    /// Write a backup of everything that this machine's thrumd keeps; it may run
    #[command(before_help = "Examples:\n  \
        thrum backup thrum.backup            the log, the identity and its key, the peers and their tokens\n  \
        thrum backup - | ssh nas 'cat >b'    to stdout")]
    Backup(BackupArgs),
    /// Put a backup in the place of what thrumd keeps; thrumd must be stopped
    #[command(before_help = "Examples:\n  \
        thrum restore thrum.backup --dry-run    check it and show what would change\n  \
        thrum restore thrum.backup              the present log is kept under another name")]
    Restore(RestoreArgs),
    /// Pair with other machines and manage peers
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum peer add                     on this machine: show a code and wait\n  \
        thrum peer join my-laptop:9100     on the other one: type the code"
    )]
    Peer(PeerCommand),
    /// Manage thrumd, with systemd or launchd if it is installed as their service
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum daemon start\n  \
        thrum daemon logs -f"
    )]
    Daemon(DaemonCommand),
    /// Run two daemons, kill one, and show that both logs become equal
    #[command(before_help = "Examples:\n  \
        thrum demo\n  \
        thrum demo --keep            leave both running and show how to use them")]
    Demo(DemoArgs),
    /// Generate files for packages
    #[command(subcommand, hide = true)]
    Generate(GenerateCommand),
    /// Show help for a command or a topic: exit-codes, environment
    #[command(before_help = "Examples:\n  thrum help send\n  thrum help exit-codes")]
    Help {
        /// A command or a topic
        #[arg(value_name = "WORD")]
        words: Vec<String>,
    },
}
