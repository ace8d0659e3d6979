-- Times are RFC 3339 in UTC with nanoseconds; bodies are JSON.
CREATE TABLE runs (
  id      TEXT PRIMARY KEY,
  kind    TEXT NOT NULL,
  plan    TEXT NOT NULL,
  digest  TEXT NOT NULL,
  actor   TEXT NOT NULL,
  created TEXT NOT NULL,
  ended   TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TRIGGER runs_keep BEFORE UPDATE OF id, kind, plan, digest, actor, created ON runs BEGIN SELECT RAISE(ABORT, 'plans are frozen'); END;
CREATE TRIGGER runs_stay BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'runs are kept'); END;

-- Append-only: the triggers refuse what a slip in the program, or a person
-- with a SQL shell, would do to history.
CREATE TABLE events (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  run  TEXT NOT NULL REFERENCES runs (id),
  type TEXT NOT NULL,
  at   TEXT NOT NULL,
  step TEXT NOT NULL,
  data TEXT NOT NULL,
  prev TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run, seq);
CREATE TRIGGER events_keep BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE receipts (
  run  TEXT NOT NULL REFERENCES runs (id),
  step TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run, step)
) STRICT;
CREATE TRIGGER receipts_keep BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts are never updated'); END;
CREATE TRIGGER receipts_stay BEFORE DELETE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts are kept'); END;

CREATE TABLE locks (
  target TEXT PRIMARY KEY,
  run    TEXT NOT NULL REFERENCES runs (id),
  actor  TEXT NOT NULL,
  since  TEXT NOT NULL
) STRICT;

CREATE TABLE signals (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  run    TEXT NOT NULL REFERENCES runs (id),
  signal TEXT NOT NULL,
  actor  TEXT NOT NULL,
  at     TEXT NOT NULL,
  taken  INTEGER NOT NULL DEFAULT 0
) STRICT;
