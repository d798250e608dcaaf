-- Derived from the log; dropped and rebuilt when the log is another one.
CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    event_id BLOB
) STRICT;

CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL UNIQUE,
    project TEXT NOT NULL,
    sender TEXT NOT NULL,
    origin BLOB NOT NULL,
    recipients TEXT NOT NULL,
    to_all INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

-- One row for each reader of a message. `read` is part of the keys, so that the oldest unread and
-- the newest read messages are each one range of an index, however many there are.
CREATE TABLE inbox (
    agent TEXT NOT NULL,
    project TEXT NOT NULL,
    read INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (agent, project, read, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_of_all_projects ON inbox (agent, read, sequence);

-- Numbers of unread messages, updated with `inbox`: counting rows would take longer the more there are.
CREATE TABLE unread (
    agent TEXT NOT NULL,
    project TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (agent, project)
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    origin BLOB NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (project, name, origin)
) STRICT, WITHOUT ROWID;

CREATE TABLE skipped (
    sequence INTEGER PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;
