import { definitions, migrationsFrom } from './columns.js'
import type { Queryable } from './postgres-client.js'
import { claimColumns, deliveryColumns, quarantineColumns } from './tables.js'

/** Every version of the tables, as the statements that make it from the version before; `since` of a column adds the columns. */
const migrationsOf = (schema: string): readonly string[] => [
  `
  -- Ids are compared byte by byte: everything is paged by them in the same order, whatever the collation of the database.
  CREATE TABLE ${schema}.claims (
    number bigint GENERATED ALWAYS AS IDENTITY, -- from the oldest to the newest
    ${definitions(claimColumns, 'postgres')},
    PRIMARY KEY (id)
  );
  -- The first claim has the id of its identity: only rivals are in these, so that they cost nothing where there are none.
  CREATE INDEX ON ${schema}.claims (identity, number) WHERE id <> identity;
  CREATE INDEX ON ${schema}.claims (identity, people) WHERE id <> identity;
  CREATE INDEX ON ${schema}.claims (identity, referrer_email, referee_email) WHERE id <> identity AND people IS NOT NULL;
  CREATE INDEX ON ${schema}.claims (identity, referee_email NULLS FIRST, referrer_email NULLS FIRST) WHERE id <> identity AND people IS NOT NULL;

  -- Which claim has an order, by the identity of the order. Outlives prune and erase.
  CREATE TABLE ${schema}.reservations (order_key text COLLATE "C" PRIMARY KEY, claim text COLLATE "C" NOT NULL);

  CREATE TABLE ${schema}.deliveries (
    number bigint GENERATED ALWAYS AS IDENTITY,
    ${definitions(deliveryColumns, 'postgres')},
    PRIMARY KEY (claim, event_key)
  ) WITH (fillfactor = 80);
  CREATE INDEX ON ${schema}.deliveries (order_id, received_at) WHERE order_id IS NOT NULL;
  CREATE INDEX ON ${schema}.deliveries (referrer_email, received_at) WHERE referrer_email IS NOT NULL;
  CREATE INDEX ON ${schema}.deliveries (referee_email, received_at) WHERE referee_email IS NOT NULL;
  -- Every other listing goes through states, each newest first.
  CREATE INDEX ON ${schema}.deliveries (state, received_at) WHERE state <> 'running';
  CREATE INDEX ON ${schema}.deliveries (substr(scope, 1, 200), state, received_at) WHERE state <> 'running';
  CREATE INDEX ON ${schema}.deliveries (state, due_at) WHERE state IN ('waiting', 'running');
  CREATE INDEX ON ${schema}.deliveries (received_at) WHERE state = 'waiting' AND held_until IS NULL AND holds = 0;
  -- What prune looks for: what it has emptied leaves the index, so that it is not read again.
  CREATE INDEX deliveries_settled ON ${schema}.deliveries (settled_at, number)
    WHERE state IN ('done', 'withdrawn', 'refused') AND is_emptied IS NULL;

  CREATE TABLE ${schema}.quarantine (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ${definitions(quarantineColumns, 'postgres')},
    keys bigint[] NOT NULL, -- what it is found by
    UNIQUE (id)
  );
  -- Everything that is asked to find what gives way, so that no row is read for it.
  CREATE INDEX ON ${schema}.quarantine (kind, number) INCLUDE (state, received_at, bytes);
  -- Every listing goes through states, each newest first.
  CREATE INDEX ON ${schema}.quarantine (state, received_at);
  CREATE INDEX ON ${schema}.quarantine (substr(scope, 1, 200), state, received_at);
  CREATE INDEX ON ${schema}.quarantine USING gin (keys) WITH (fastupdate = off); -- else a search reads a list of what is new
  CREATE INDEX ON ${schema}.quarantine (identity) WHERE identity IS NOT NULL;

  CREATE TABLE ${schema}.counters (
    name text NOT NULL,
    slot integer NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (name, slot)
  ) WITH (fillfactor = 50); -- each transaction updates some
  -- Deliveries by the day of their callback.
  CREATE TABLE ${schema}.days (
    day integer NOT NULL, -- since 1970, in UTC
    event_key text NOT NULL,
    slot integer NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (day, event_key, slot)
  ) WITH (fillfactor = 50);
  `,
]

const tablesOf = (schema: string) => ({
  [`${schema}.claims`]: claimColumns,
  [`${schema}.deliveries`]: deliveryColumns,
  [`${schema}.quarantine`]: quarantineColumns,
})

/** Brings the tables to the version that this code knows, in a transaction. Throws `ERR_CONVERSION_INBOX_NEWER` for tables of a later one. */
export async function migrate(client: Queryable, schema: string): Promise<void> {
  // One process at a time, even before the schema exists.
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('conversion-webhook ${schema}', 0))`)
  // Checked first, since even CREATE SCHEMA IF NOT EXISTS requires the right to create one.
  const known = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
  if (known.rows.length === 0) await client.query(`CREATE SCHEMA ${schema}`)
  await client.query(`CREATE TABLE IF NOT EXISTS ${schema}.migrations (version integer NOT NULL)`)
  const { rows } = await client.query(`SELECT coalesce(max(version), 0) AS version FROM ${schema}.migrations`)
  const found = Number(rows[0]?.version)
  for (const { version, statements } of migrationsFrom(found, migrationsOf(schema), tablesOf(schema), 'postgres')) {
    await client.query(statements)
    await client.query(`INSERT INTO ${schema}.migrations (version) VALUES ($1)`, [version])
  }
}
