//! What agents do, as their own machine knows it and as others are told.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

use tests::harness::{
    Daemon, LONG, SHORT, connect_unix, eventually, holds, http, in_sync, paired_daemons,
};
use thrum_api::event::{AgentSessions, SessionState};
use thrum_api::local::{
    Agent, AgentList, AgentListParams, AgentState, EventList, EventListParams, MarkReadParams,
    MessageMarkRead, MessageSend, MessageSendParams, MessageWait, SessionEnd, SessionEndParams,
    SessionResult, SessionStart, SessionStartParams, SessionUpdate, SessionUpdateParams,
    WaitParams, WaitResult,
};
use thrum_api::{Method, envelope};

const PROJECT: &str = "app";

/// A tool: a process that ends with the test.
struct Tool(Child);

impl Tool {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A connection of a program that keeps it.
struct Kept(UnixStream);

impl Kept {
    fn new(daemon: &Daemon) -> Self {
        let stream = connect_unix(&daemon.socket()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self(stream)
    }

    fn ask<M: Method>(&mut self, params: &M::Params) -> M::Result {
        let body = envelope::request::<M>(1, params).unwrap();
        let head = format!(
            "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = || -> io::Result<http::Response> {
            self.0.write_all(head.as_bytes())?;
            self.0.write_all(&body)?;
            http::read_response(&mut self.0)
        };
        let mut answer = answer;
        let response = answer().unwrap();
        let json = response.json();
        assert!(json.get("error").is_none(), "{json}");
        serde_json::from_value(json["result"].clone()).unwrap()
    }
}

fn session(agent: &str) -> SessionStartParams {
    SessionStartParams {
        agent: agent.to_owned(),
        project: PROJECT.to_owned(),
        session: Some("s".to_owned()),
        ..SessionStartParams::default()
    }
}

fn of(agent: &str, tool: &Tool) -> SessionStartParams {
    SessionStartParams { pid: Some(tool.0.id()), ..session(agent) }
}

fn update(daemon: &Daemon, agent: &str, state: SessionState) -> SessionResult {
    daemon.ask::<SessionUpdate>(SessionUpdateParams {
        agent: agent.to_owned(),
        project: PROJECT.to_owned(),
        state: Some(state),
        ..SessionUpdateParams::default()
    })
}

/// Everything that was told of sessions, in the order of this log.
fn told(daemon: &Daemon) -> Vec<AgentSessions> {
    let params = EventListParams {
        event_type: Some("agent.sessions".to_owned()),
        ..EventListParams::default()
    };
    let events = daemon.ask::<EventList>(params).events;
    let body = |event: &thrum_api::SequencedEvent| {
        let event: thrum_api::Event = serde_json::from_str(event.event.get()).unwrap();
        serde_json::from_value(event.body).unwrap()
    };
    events.iter().map(body).collect()
}

fn agent(daemon: &Daemon, name: &str) -> Result<Agent, String> {
    let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
    agents.into_iter().find(|agent| agent.name == name).ok_or_else(|| format!("no {name}"))
}

/// Returns when an agent is in this state.
#[track_caller]
fn until(daemon: &Daemon, name: &str, state: AgentState) -> Agent {
    eventually(LONG, || {
        let agent = agent(daemon, name)?;
        holds(agent.state == state, || format!("{agent:?}"))?;
        Ok(agent)
    })
}

fn head(daemon: &Daemon) -> u64 {
    daemon.health().head_seq.0
}

#[test]
fn after_a_kill_and_after_a_stop_only_what_changed_meanwhile_is_told() {
    let mut daemon = Daemon::start("laptop");
    let (lives, mut ends) = (Tool::start(), Tool::start());
    let asks =
        SessionStartParams { question: Some("may I push?".to_owned()), ..of("lives", &lives) };
    daemon.ask::<SessionStart>(asks);
    daemon.ask::<SessionStart>(of("ends", &ends));
    let mcp = SessionStartParams { connection: true, ..session("mcp") };
    let mut program = Kept::new(&daemon);
    program.ask::<SessionStart>(&mcp);
    // A start answers after a second at most, told or not.
    let before = eventually(LONG, || {
        let told = told(&daemon);
        holds(told.len() == 3, || format!("{told:?}")).map(|()| told)
    });

    daemon.kill();
    ends.end();
    daemon.start_again();
    let mut program = Kept::new(&daemon);
    program.ask::<SessionStart>(&mcp);
    until(&daemon, "ends", AgentState::Gone);
    let after = eventually(LONG, || {
        let told = told(&daemon);
        holds(told.len() > 3, || format!("{told:?}"))?;
        Ok(told)
    });
    assert_eq!(after[..3], before);
    assert_eq!((after[3].agent.as_str(), after[3].sessions.len()), ("ends", 0));
    let lives = agent(&daemon, "lives").unwrap();
    assert_eq!(lives.state, AgentState::NeedsYou);
    assert_eq!(lives.sessions, before[0].sessions);

    assert!(daemon.stop().success());
    drop(program);
    daemon.start_again();
    let mut program = Kept::new(&daemon);
    program.ask::<SessionStart>(&mcp);
    assert_eq!(agent(&daemon, "mcp").unwrap().state, AgentState::Working);
    assert_eq!(told(&daemon), after, "a stop and a start say nothing");
    drop(program);
    until(&daemon, "mcp", AgentState::Gone);
    let last = eventually(LONG, || told(&daemon).get(4).cloned().ok_or("not told".to_owned()));
    assert_eq!((last.agent.as_str(), last.sessions.len()), ("mcp", 0));
}

#[test]
fn a_peer_sees_the_question_and_since_when_the_machine_is_unreachable() {
    let (mut asking, other) = paired_daemons();
    let tool = Tool::start();
    let question = Some("may I push to main?".to_owned());
    asking.ask::<SessionStart>(SessionStartParams {
        question: question.clone(),
        ..of("tester", &tool)
    });
    let seen = until(&other, "tester", AgentState::NeedsYou);
    assert_eq!(seen.sessions[0].question, question);
    assert_eq!(seen.since, seen.sessions[0].since);
    asking.kill();
    let lost = until(&other, "tester", AgentState::Unreachable);
    assert_eq!(lost.sessions, seen.sessions, "what was known last");
    assert!(lost.since >= seen.since);
    asking.start_again();
    until(&other, "tester", AgentState::NeedsYou);
    update(&asking, "tester", SessionState::Idle);
    until(&other, "tester", AgentState::Idle);
    let end =
        SessionEndParams { agent: "tester".to_owned(), project: PROJECT.to_owned(), session: None };
    asking.ask::<SessionEnd>(end);
    until(&other, "tester", AgentState::Gone);
    in_sync(&[&asking, &other]);
    asking.kill();
    // Whether it began again, nobody here knows.
    until(&other, "tester", AgentState::Unreachable);
}

#[test]
fn of_two_that_claim_each_gets_its_own_and_what_one_leaves_the_other_gets() {
    let daemon = Daemon::start("laptop");
    let send = |text: &str| {
        daemon.ask::<MessageSend>(MessageSendParams {
            from: "planner".to_owned(),
            to: vec!["coder".to_owned()],
            text: text.to_owned(),
            project: PROJECT.to_owned(),
            ..MessageSendParams::default()
        })
    };
    let wait = WaitParams {
        agent: "coder".to_owned(),
        project: Some(PROJECT.to_owned()),
        timeout_ms: u64::try_from(LONG.as_millis()).unwrap(),
        claim: true,
        limit: Some(1),
        ..WaitParams::default()
    };
    let text = |waited: &WaitResult| waited.messages[0].text.clone();
    for number in ["1", "2"] {
        send(number);
    }
    let [mut first, mut second] = [Kept::new(&daemon), Kept::new(&daemon)];
    assert_eq!(text(&first.ask::<MessageWait>(&wait)), "1");
    let waited = second.ask::<MessageWait>(&wait);
    assert_eq!(text(&waited), "2");
    second.ask::<MessageMarkRead>(&MarkReadParams {
        agent: "coder".to_owned(),
        messages: vec![(&waited.messages[0]).into()],
        ..MarkReadParams::default()
    });
    let waits = std::thread::spawn(move || second.ask::<MessageWait>(&wait));
    until(&daemon, "coder", AgentState::Waiting);
    drop(first);
    assert_eq!(text(&waits.join().unwrap()), "1", "it was not marked read");
}

#[test]
fn a_thousand_idle_agents_write_nothing() {
    let daemon = Daemon::start("laptop");
    let tool = Tool::start();
    let mut program = Kept::new(&daemon);
    for number in 0..1000 {
        program.ask::<SessionStart>(&of(&format!("agent{number}"), &tool));
    }
    let probe = SessionStartParams { connection: true, ..session("probe") };
    program.ask::<SessionStart>(&probe);
    // Each joins and tells its session.
    let before = eventually(LONG, || {
        let head = head(&daemon);
        holds(head == 2002, || format!("{head} events")).map(|()| head)
    });
    // Told five seconds after the first change: meanwhile others had the time for anything.
    update(&daemon, "probe", SessionState::Idle);
    let probe_is_told = |count: usize| {
        eventually(LONG, || {
            let told = head(&daemon) - before;
            holds(told >= count as u64, || format!("{told} events"))
        });
    };
    probe_is_told(1);
    assert_eq!(head(&daemon), before + 1);
    let listed = daemon.ask::<AgentList>(AgentListParams::default()).agents;
    let at_work = listed.iter().filter(|agent| agent.state == AgentState::Working).count();
    assert_eq!((listed.len(), at_work), (1001, 1000));
    drop(tool);
    probe_is_told(1001);
    eventually(SHORT, || {
        let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
        let gone = agents.iter().filter(|agent| agent.state == AgentState::Gone).count();
        holds(gone == 1000, || format!("{gone} are gone"))
    });
    assert_eq!(head(&daemon), before + 1001);
}
