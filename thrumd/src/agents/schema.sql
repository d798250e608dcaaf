-- Derived from the log; dropped and rebuilt when the log is another one. The messages themselves stand in the log:
-- here are their positions there, and whose they are.
CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    hash INTEGER                 -- of the log up to there
) STRICT;

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,   -- empty for events without a project
    broadcasts INTEGER NOT NULL, -- how many messages to all it has
    agents_here INTEGER NOT NULL DEFAULT 0 -- how many of its inboxes are those of an agent of this machine
) STRICT;

-- A name in a project that has messages or is an agent, of any machine.
CREATE TABLE inboxes (
    id INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    agent TEXT NOT NULL,
    unread INTEGER NOT NULL,     -- how many rows in `deliveries` are not read: counting them would take longer the more there are
    settled INTEGER,             -- how many numbers are in `settled_broadcasts`; NULL: no agent of this machine, so it gets no messages to all
    was_here INTEGER NOT NULL DEFAULT 0, -- it is or was that of an agent of this machine
    UNIQUE (agent, project)
) STRICT;
CREATE INDEX inboxes_by_project ON inboxes (project, agent);
-- Others may write to as many names as they like; agents of this machine are few.
CREATE INDEX inboxes_here ON inboxes (project, agent) WHERE was_here;

-- One row for each reader that a message names, and for each message to all that a reader has read. `read` is part of
-- the key, so that the oldest unread and the newest read messages are each one range of it, however many there are.
CREATE TABLE deliveries (
    inbox INTEGER NOT NULL,
    read INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (inbox, read, sequence)
) STRICT, WITHOUT ROWID;

-- Messages to all, numbered in each project from 1 without a gap. One row each, however many readers there are.
CREATE TABLE broadcasts (
    sequence INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX broadcasts_by_number ON broadcasts (project, number);

-- Messages to all that a reader has not to read any more, as ranges of their numbers that don't touch: those from
-- before it joined, its own, and those it has read. All others are unread.
CREATE TABLE settled_broadcasts (
    inbox INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (inbox, first)
) STRICT, WITHOUT ROWID;

-- An agent: an inbox, and the daemon that somebody uses it on, by the events that it wrote.
CREATE TABLE agents (
    inbox INTEGER NOT NULL,
    origin BLOB NOT NULL,
    first INTEGER NOT NULL,      -- the position of the first of these events since it was last removed: later messages to all are for it
    last_seen INTEGER NOT NULL,
    here INTEGER NOT NULL,       -- whether one of these events was written here, so that it is used on this machine
    about TEXT,                  -- what it is for
    removed INTEGER NOT NULL DEFAULT 0, -- it was removed, and has done nothing since
    PRIMARY KEY (inbox, origin)
) STRICT, WITHOUT ROWID;

-- The names of daemons, as they tell them: for those that are no peers.
CREATE TABLE machines (
    origin BLOB PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the sessions of an agent do, as its daemon told at last.
CREATE TABLE presence (
    inbox INTEGER NOT NULL,
    origin BLOB NOT NULL,
    hlc INTEGER NOT NULL,        -- of the event
    at INTEGER NOT NULL,         -- when, by the daemon's clock
    sessions TEXT NOT NULL,      -- JSON, as in the event
    PRIMARY KEY (inbox, origin)
) STRICT, WITHOUT ROWID;

-- Messages that were sent here, by the inbox of their sender.
CREATE TABLE sent (
    inbox INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (inbox, sequence)
) STRICT, WITHOUT ROWID;

-- Answers, by the message that they answer.
CREATE TABLE replies (
    event_id BLOB NOT NULL,
    origin BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    sender INTEGER NOT NULL,     -- the inbox of who answers
    daemon BLOB NOT NULL,        -- the daemon of who answers
    PRIMARY KEY (event_id, origin, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX replies_by_sender ON replies (event_id, origin, sender, daemon, sequence);

-- Messages of a conversation, except its first, by that one.
CREATE TABLE threads (
    event_id BLOB NOT NULL,
    origin BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (event_id, origin, sequence)
) STRICT, WITHOUT ROWID;

-- Where messages are, 64 positions of the log in a row, one bit each: those of each project, and with 0 those of all.
CREATE TABLE message_bitmaps (
    project INTEGER NOT NULL,
    block INTEGER NOT NULL,      -- the position of the first bit, divided by 64
    bits INTEGER NOT NULL,
    PRIMARY KEY (project, block)
) STRICT, WITHOUT ROWID;

-- Messages that their sender has deleted, here or not.
CREATE TABLE deleted (
    event_id BLOB NOT NULL,
    origin BLOB NOT NULL,
    sender INTEGER NOT NULL,     -- the inbox of who says so, who must be their sender
    PRIMARY KEY (event_id, origin, sender)
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (project, name)
) STRICT;

-- Whoever is or was a member, with the last change: by hybrid clock, origin and position there.
CREATE TABLE group_members (
    "group" INTEGER NOT NULL,
    member TEXT NOT NULL,        -- an address, as in events
    present INTEGER NOT NULL,
    hlc INTEGER NOT NULL,
    origin BLOB NOT NULL,
    origin_sequence INTEGER NOT NULL,
    PRIMARY KEY ("group", member)
) STRICT, WITHOUT ROWID;

-- Up to where a daemon (teller) has told that it holds the events of an origin: others of ours, we of others.
CREATE TABLE received (
    teller BLOB NOT NULL,
    origin BLOB NOT NULL,
    epoch BLOB NOT NULL,
    up_to INTEGER NOT NULL,
    PRIMARY KEY (teller, origin, epoch)
) STRICT, WITHOUT ROWID;

-- Origins of messages for agents of this machine, up to the last such message. A row is gone once we have told that it is
-- here; for peers of ours, which know by themselves, it stays.
CREATE TABLE owed (
    origin BLOB NOT NULL,
    epoch BLOB NOT NULL,
    up_to INTEGER NOT NULL,
    PRIMARY KEY (origin, epoch)
) STRICT, WITHOUT ROWID;

-- Who has read messages that were sent here, on other machines.
CREATE TABLE receipts (
    event_id BLOB NOT NULL,
    inbox INTEGER NOT NULL,      -- of the reader
    origin BLOB NOT NULL,        -- the reader's daemon
    at INTEGER NOT NULL,
    route TEXT NOT NULL,
    session INTEGER,             -- in `receipt_sessions`
    PRIMARY KEY (event_id, inbox, origin)
) STRICT, WITHOUT ROWID;

-- The ids of sessions in receipts, each once: one that stands once in an event may have read thousands of messages.
CREATE TABLE receipt_sessions (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE skipped (
    sequence INTEGER PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;
