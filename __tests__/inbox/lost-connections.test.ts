import { Pool } from 'pg'
import { conversionWebhook, isConversionWebhookError } from '../../lib/index.js'
import { postgresInbox, type PostgresClient } from '../../lib/postgres.js'
import { eventually } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'

/*
 * A real PostgreSQL that crashes while the transaction of `commit` is open. The id of a transaction is only in the server's memory until the
 * log is written: after the crash another transaction may get the same id.
 */

const conversion = params({ conversion: 'success', orderID: 'A', goal_complete: '0' })

const insert = (id: number) => `INSERT INTO rewards VALUES ('${String(id)}')`

/** Only a commit writes the log, so that after a crash the ids since the last commit are given again. */
const settings = ['wal_level=minimal', 'max_wal_senders=0', 'wal_writer_delay=10s', 'autovacuum=off']
/** In a transaction that asks for it, COMMIT writes the log and then waits for a standby server that does not exist. */
const waiting = ['wal_level=replica', 'synchronous_standby_names=nobody', 'synchronous_commit=local']

let server: Server
let pool: Pool
let count = 0
const closing: (() => unknown)[] = []

function describeServer(name: string, options: readonly string[], tests: () => void): void {
  const describePostgres = hasPostgres ? describe : describe.skip
  describePostgres(name, () => {
    beforeAll(async () => {
      server = await startServer(options)
      pool = new Pool({ connectionString: server.url })
      pool.on('error', () => undefined) // the server crashes under it
      await pool.query('CREATE TABLE rewards (id text); CREATE TABLE others (id xid8)')
    })
    beforeEach(() => pool.query('TRUNCATE rewards, others'))
    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close()
    })
    afterAll(async () => {
      await pool.end()
      await server.stop()
    })
    tests()
  })
}

/** Delivers once with the effect `fn`; resolves with the delivery's state and the rows of the shop. */
async function deliver(fn: (client: PostgresClient, attempt: number) => unknown, before?: () => unknown) {
  const codes: unknown[] = []
  let attempts = 0
  let isDead = false
  const inbox = postgresInbox({ connectionString: server.url, schema: `lost_${String(++count)}` })
  const webhook = conversionWebhook(
    {
      onSuccess: async (_conversion, { commit }) => {
        const attempt = ++attempts
        await before?.()
        await commit((client) => fn(client, attempt)).catch((error: unknown) => {
          codes.push(isConversionWebhookError(error) ? error.code : 'another')
          throw error
        })
      },
      onError: () => undefined,
      onDead: () => (isDead = true),
    },
    { secret: false, inbox },
  )
  closing.push(() => webhook.close())
  const { id } = await webhook.accept(conversion)
  const state = await eventually(
    () =>
      inbox.get(`${id}:success`).then(
        (entry) => entry?.state,
        () => undefined, // the server is away
      ),
    (now) => (now === 'dead' ? isDead : now === 'done'),
  )
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM rewards')
  return { state, attempts, codes, rows: rows.map((row) => row.id) }
}

async function idOf(client: PostgresClient): Promise<bigint> {
  const { rows } = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id')
  return BigInt(rows[0]?.id ?? 0)
}

/** After a crash, commits other transactions until this id is used; resolves with whether a transaction with this id has committed. */
async function isTaken(id: bigint): Promise<boolean> {
  for (let other = 0n; other < id;) {
    const { rows } = await pool.query<{ id: string }>('INSERT INTO others VALUES (pg_current_xact_id()) RETURNING id')
    other = BigInt(rows[0]?.id ?? 0)
  }
  // The inbox itself may have taken it, to renew its leases.
  const { rows } = await pool.query<{ status: string }>('SELECT pg_xact_status($1::text::xid8) AS status', [String(id)])
  return rows[0]?.status === 'committed'
}

async function crash(): Promise<void> {
  await server.crash()
  await server.start()
}

/** Crashes the server as soon as a connection waits as the argument says. */
async function crashAt(waitEvent: string): Promise<void> {
  const find = () => pool.query('SELECT 1 FROM pg_stat_activity WHERE wait_event = $1', [waitEvent])
  await eventually(find, ({ rows }) => rows.length > 0)
  await crash()
}

describeServer('a server that crashes in a transaction of commit', settings, () => {
  test.each([
    ['one statement', (client: PostgresClient) => client.query(insert(1))],
    ['several that end nothing', (client: PostgresClient) => client.query(`${insert(0)}; UPDATE rewards SET id = '1'`)],
    [
      'a transaction of a library',
      async (client: PostgresClient) => {
        await client.query('BEGIN')
        await client.query(insert(1))
        await client.query('COMMIT')
      },
    ],
  ])('has committed nothing, though another transaction with its id has: %s', async (_what, change) => {
    const taken: boolean[] = []
    const { state, attempts, rows } = await deliver(async (client, attempt) => {
      if (attempt > 1) return client.query(insert(2))
      const id = await idOf(client)
      await change(client)
      await crash()
      taken.push(await isTaken(id))
      return client.query('SELECT 1')
    })
    expect([taken, state, attempts, rows]).toEqual([[true], 'done', 2, ['2']])
  })

  test('has committed what a COMMIT among other statements did', async () => {
    const { state, attempts, codes, rows } = await deliver(async (client, attempt) => {
      await client.query(`${insert(attempt)}; COMMIT; BEGIN`)
      await crash()
      return client.query('SELECT 1')
    })
    expect([state, attempts, codes, rows]).toEqual(['dead', 1, ['ERR_CONVERSION_COMMIT_INVALID'], ['1']])
  })

  test('may have committed if a string could have ended it and its id has committed: the delivery is dead', async () => {
    const { state, attempts, codes, rows } = await deliver(async (client) => {
      const id = await idOf(client)
      await client.query("INSERT INTO rewards VALUES ('; COMMIT')")
      await crash()
      expect(await isTaken(id)).toBe(true)
      return client.query('SELECT 1')
    })
    expect([state, attempts, codes, rows]).toEqual(['dead', 1, ['ERR_CONVERSION_COMMIT_INVALID'], []])
  })

  test('has not committed if a string could have ended it and no transaction has its id yet', async () => {
    const giveIds = async () => {
      for (let given = 0; given < 20; given++) await pool.query('BEGIN; SELECT pg_current_xact_id(); ROLLBACK')
    }
    const { state, attempts, rows } = await deliver(async (client, attempt) => {
      if (attempt > 1) return client.query(insert(2))
      await client.query("INSERT INTO rewards VALUES ('; COMMIT')")
      await crash()
      return client.query('SELECT 1')
    }, giveIds)
    expect([state, attempts, rows]).toEqual(['done', 2, ['2']])
  })

  test('has committed nothing before its COMMIT is written: the delivery is retried', async () => {
    await pool.query(`
      CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER late AFTER INSERT ON rewards DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.id = '1') EXECUTE FUNCTION dawdle()`)
    closing.push(() => pool.query('DROP FUNCTION dawdle CASCADE'))
    const crashed: Promise<void>[] = []
    const { state, attempts, rows } = await deliver((client, attempt) => {
      if (attempt === 1) crashed.push(crashAt('PgSleep'))
      return client.query(insert(attempt))
    })
    await Promise.all(crashed)
    expect([state, attempts, rows]).toEqual(['done', 2, ['2']])
  })
})

describeServer('a server that waits in a COMMIT', waiting, () => {
  test('and crashes has committed: the delivery is done, and is not retried', async () => {
    const crashed: Promise<void>[] = []
    const { state, attempts, codes, rows } = await deliver(async (client, attempt) => {
      crashed.push(crashAt('SyncRep'))
      await client.query('SET LOCAL synchronous_commit = on')
      return client.query(insert(attempt))
    })
    await Promise.all(crashed)
    expect([state, attempts, rows]).toEqual(['done', 1, ['1']])
    await eventually(
      () => Promise.resolve(codes),
      (all) => all.length > 0, // the handler did not get the answer
    )
    expect(codes).toEqual(['ERR_CONVERSION_INBOX_UNAVAILABLE'])
  })
})
