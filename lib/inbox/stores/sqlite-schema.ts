import type { DatabaseSync } from 'node:sqlite'
import { definitions, migrationsFrom } from './columns.js'
import { transact } from './sqlite-driver.js'
import { claimColumns, deliveryColumns, quarantineColumns } from './tables.js'

/**
 * Every version of the tables, as the statements that make it from the version before; `since` of a column adds the columns. The names have a
 * prefix, so that the tables can be in the app's own database. For the same reason no pragma of the whole file (`user_version`) is used.
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE conversion_webhook_claims (
    number INTEGER PRIMARY KEY, -- rows of one time lie side by side, so that a commit writes few pages
    -- The number of the claim that has the order whose identity is the id of this row: it outlives prune and erase. Where nobody has
    -- claimed that order by its own id, the row says nothing else, and has no status.
    holder INTEGER,
    ${definitions(claimColumns, 'sqlite', ({ name }) => name === 'id' || name === 'identity')},
    UNIQUE (id)
  );
  -- The first claim has the id of its identity: only rivals are in these, so that they cost nothing where there are none.
  CREATE INDEX conversion_webhook_rivals_by_age ON conversion_webhook_claims (identity, number) WHERE id <> identity;
  CREATE INDEX conversion_webhook_rivals_by_people ON conversion_webhook_claims (identity, people) WHERE id <> identity;
  CREATE INDEX conversion_webhook_rivals_by_referrer ON conversion_webhook_claims (identity, referrer_email, referee_email)
    WHERE id <> identity AND people IS NOT NULL;
  CREATE INDEX conversion_webhook_rivals_by_referee ON conversion_webhook_claims (identity, referee_email, referrer_email)
    WHERE id <> identity AND people IS NOT NULL;

  CREATE TABLE conversion_webhook_deliveries (
    number INTEGER PRIMARY KEY,
    ${definitions(deliveryColumns, 'sqlite')},
    UNIQUE (claim, event_key)
  );
  CREATE INDEX conversion_webhook_by_order ON conversion_webhook_deliveries (order_id, received_at) WHERE order_id IS NOT NULL;
  CREATE INDEX conversion_webhook_by_referrer ON conversion_webhook_deliveries (referrer_email, received_at)
    WHERE referrer_email IS NOT NULL;
  CREATE INDEX conversion_webhook_by_referee ON conversion_webhook_deliveries (referee_email, received_at)
    WHERE referee_email IS NOT NULL;
  -- Every other listing goes through states, each newest first. What runs is little, and would be put here and removed with each attempt.
  CREATE INDEX conversion_webhook_by_state ON conversion_webhook_deliveries (state, received_at) WHERE state <> 'running';
  CREATE INDEX conversion_webhook_by_scope ON conversion_webhook_deliveries (substr(scope, 1, 200), state, received_at) WHERE state <> 'running';
  -- Those that wait for a date lie apart, so that no look for what is due walks through them.
  CREATE INDEX conversion_webhook_waiting ON conversion_webhook_deliveries (held_until, due_at) WHERE state = 'waiting';
  CREATE INDEX conversion_webhook_waiting_unheld ON conversion_webhook_deliveries (received_at)
    WHERE state = 'waiting' AND held_until IS NULL AND holds = 0;
  CREATE INDEX conversion_webhook_running ON conversion_webhook_deliveries (owner) WHERE state = 'running';
  -- What prune looks for: what it has emptied leaves the index, so that it is not read again.
  CREATE INDEX conversion_webhook_settled ON conversion_webhook_deliveries (settled_at)
    WHERE state IN ('done', 'withdrawn', 'refused') AND is_emptied IS NULL;

  CREATE TABLE conversion_webhook_quarantine (
    number INTEGER PRIMARY KEY,
    ${definitions(quarantineColumns, 'sqlite')},
    UNIQUE (id)
  );
  -- Everything that is asked to find what gives way, so that no row is read for it.
  CREATE INDEX conversion_webhook_quarantine_by_age ON conversion_webhook_quarantine (kind, number, state, received_at, bytes);
  -- Every listing goes through states, each newest first.
  CREATE INDEX conversion_webhook_quarantine_by_state ON conversion_webhook_quarantine (state, received_at);
  CREATE INDEX conversion_webhook_quarantine_by_scope ON conversion_webhook_quarantine (substr(scope, 1, 200), state, received_at);
  CREATE INDEX conversion_webhook_quarantine_by_identity ON conversion_webhook_quarantine (identity) WHERE identity IS NOT NULL;
  CREATE INDEX conversion_webhook_quarantine_waiting ON conversion_webhook_quarantine (bytes) WHERE state = 'waiting';

  -- What a quarantined callback is found by. Goes with it: a hash of an address is a trace of a person.
  CREATE TABLE conversion_webhook_quarantine_keys (
    key INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (key, received_at, number)
  ) WITHOUT ROWID;
  CREATE INDEX conversion_webhook_quarantine_keys_of ON conversion_webhook_quarantine_keys (number);
  CREATE TABLE conversion_webhook_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  -- How late it was with the last beat, by the clock that retries are due by and by that of the machine.
  CREATE TABLE conversion_webhook_clock (number INTEGER PRIMARY KEY, steady INTEGER NOT NULL, wall INTEGER NOT NULL);
  -- Whatever adds or removes a row of the quarantine, what it takes is counted in the same transaction.
  CREATE TRIGGER conversion_webhook_quarantine_new AFTER INSERT ON conversion_webhook_quarantine BEGIN
    INSERT INTO conversion_webhook_counters (name, value)
      VALUES ('quarantine.' || new.kind || '.rows', 1), ('quarantine.' || new.kind || '.bytes', new.bytes)
      ON CONFLICT (name) DO UPDATE SET value = value + excluded.value;
  END;
  CREATE TRIGGER conversion_webhook_quarantine_gone AFTER DELETE ON conversion_webhook_quarantine BEGIN
    DELETE FROM conversion_webhook_quarantine_keys WHERE number = old.number;
    UPDATE conversion_webhook_counters SET value = value - 1 WHERE name = 'quarantine.' || old.kind || '.rows';
    UPDATE conversion_webhook_counters SET value = value - old.bytes WHERE name = 'quarantine.' || old.kind || '.bytes';
    INSERT INTO conversion_webhook_counters (name, value) VALUES ('removals', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1;
  END;
  CREATE TRIGGER conversion_webhook_quarantine_changed AFTER UPDATE ON conversion_webhook_quarantine
  WHEN old.issues IS NOT new.issues OR old.differs IS NOT new.differs OR old.log IS NOT new.log BEGIN
    INSERT INTO conversion_webhook_counters (name, value) VALUES ('removals', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1;
  END;

  -- Deliveries by the day of their callback.
  CREATE TABLE conversion_webhook_days (
    day INTEGER NOT NULL, -- since 1970, in UTC
    event_key TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, event_key)
  ) WITHOUT ROWID;
  CREATE TABLE conversion_webhook_workers (id TEXT PRIMARY KEY, beat INTEGER NOT NULL) WITHOUT ROWID;
  `,
]

const tables = {
  conversion_webhook_claims: claimColumns,
  conversion_webhook_deliveries: deliveryColumns,
  conversion_webhook_quarantine: quarantineColumns,
}

/** Brings the tables to the version that this code knows. Throws `ERR_CONVERSION_INBOX_NEWER` for tables of a later one. */
export function migrate(db: DatabaseSync): void {
  transact(db, () => {
    db.exec('CREATE TABLE IF NOT EXISTS conversion_webhook_schema (version INTEGER NOT NULL)')
    const row = db.prepare('SELECT max(version) AS version FROM conversion_webhook_schema').get()
    for (const { version, statements } of migrationsFrom(Number(row?.version ?? 0), migrations, tables, 'sqlite')) {
      db.exec(statements)
      db.prepare('INSERT INTO conversion_webhook_schema (version) VALUES (?)').run(version)
    }
  })
}
