import { readFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { conversionWebhook, type Inbox } from '../../lib/index.js'
import { additions, claimKey, columnsOf, definitions, id, orNull, text } from '../../lib/inbox/stores/columns.js'
import { PostgresQuarantine } from '../../lib/inbox/stores/postgres-quarantine.js'
import { PostgresRows } from '../../lib/inbox/stores/postgres-rows.js'
import { migrate as migratePostgres } from '../../lib/inbox/stores/postgres-schema.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { migrate as migrateSqlite } from '../../lib/inbox/stores/sqlite-schema.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { Tally } from '../../lib/inbox/tally.js'
import { durableBudget } from '../../lib/inbox/quarantine.js'
import { postgresInbox } from '../../lib/postgres.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { goldenClaims, goldenQuarantine } from '../fixtures/stored-1.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* Files and databases of every version open with today's code, keep their rows and take new ones. */

type Cells = Readonly<Record<string, unknown>>

const tablesOf1 = (database: string) => readFileSync(join(__dirname, `../fixtures/tables-1.${database}.sql`), 'utf8')

const claims = Object.values(goldenClaims)
const quarantine = Object.values(goldenQuarantine)

const describeSqlite = hasSqlite ? describe : describe.skip
const describePostgres = hasPostgres ? describe : describe.skip

/** The rows that an inbox lists, as far as version 1 says them, and what it makes of a new callback. */
async function expectToWork(inbox: Inbox): Promise<void> {
  const tellsNew = deferred<unknown>()
  const onSuccess = ({ orderId }: { readonly orderId?: string }) => {
    if (orderId === 'new') tellsNew.resolve(undefined)
  }
  const webhook = conversionWebhook({ onSuccess, onError: tellsNew.reject }, { secret: false, inbox })
  const first = claims.map(({ record }) => record.deliveries.length).reduce((sum, count) => sum + count, 0)
  const rows = await inbox.list({ limit: 100 })
  expect(rows).toHaveLength(first + quarantine.length)
  expect(rows.map(({ params: { orderID } }) => orderID)).toEqual(expect.arrayContaining([' Ä 1 ', 'B', 'C']))
  expect(await webhook.accept(params({ orderID: 'new', goal_complete: '0' }))).toMatchObject({ outcome: 'accepted' })
  await expect(webhook.accept(params({ orderID: 'new 2', purchaseValue: 'x' }))).resolves.toMatchObject({
    outcome: 'refused',
  })
  await tellsNew.promise
  await webhook.close()
}

describeSqlite('SQLite', () => {
  const folder = temporaryFolder()
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close()
    folder.remove()
  })

  function connect(file: string): DatabaseSync {
    const db = openFile(file)
    open.push(db)
    return db
  }

  function insert(db: DatabaseSync, table: string, cells: Cells) {
    const marks = Object.keys(cells).map(() => '?')
    const names = Object.keys(cells).join(', ')
    const statement = db.prepare(`INSERT INTO conversion_webhook_${table} (${names}) VALUES (${marks.join(', ')})`)
    return statement.run(...(Object.values(cells) as (string | number | null)[])).lastInsertRowid
  }

  /** A file of version 1 with its golden rows. */
  function fileOf1(): string {
    const file = folder.file('version-1.db')
    const db = openFile(file)
    db.exec(tablesOf1('sqlite'))
    for (const { claim, deliveries } of claims) {
      const number = insert(db, 'claims', claim)
      for (const delivery of deliveries) insert(db, 'deliveries', { claim: number, ...delivery })
    }
    for (const { row } of quarantine) insert(db, 'quarantine', row)
    db.close()
    return file
  }

  const tables = (db: DatabaseSync) =>
    db.prepare(`SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name`).all()

  test('a file of version 1 becomes what a new file is', () => {
    const [old, fresh] = [connect(':memory:'), connect(':memory:')]
    old.exec(tablesOf1('sqlite'))
    migrateSqlite(old)
    migrateSqlite(fresh)
    const spaced = (rows: ReturnType<typeof tables>) =>
      rows.map(({ name, sql }) => [name, String(sql).replaceAll(/\s+/g, ' ')])
    expect(spaced(tables(old))).toEqual(spaced(tables(fresh)))
    const columns = (db: DatabaseSync) =>
      ['claims', 'deliveries', 'quarantine'].map((table) =>
        db.prepare(`PRAGMA table_info(conversion_webhook_${table})`).all(),
      )
    expect(columns(old)).toEqual(columns(fresh))
  })

  test('a file of version 1 keeps its rows, cell by cell', async () => {
    const store = new SqliteStore(openSqlite(fileOf1()))
    open.push(store)
    for (const { record } of claims) expect(await store.record(record.id)).toEqual(record)
    for (const { record } of quarantine) expect(await store.quarantined(record.id)).toEqual(record)
  })

  test('what is written today has the cells of version 1', async () => {
    const file = folder.file('new.db')
    const store = new SqliteStore(openSqlite(file))
    open.push(store)
    for (const { record } of claims) {
      await store.change({ claim: record.id, apply: () => ({ record, result: undefined }) })
    }
    for (const { record } of quarantine) {
      await store.change({ quarantined: record.id, apply: () => ({ quarantined: record, result: undefined }) })
    }
    const db = connect(file)
    const rows = (table: string) => db.prepare(`SELECT * FROM conversion_webhook_${table} ORDER BY number`).all()
    expect(rows('claims')).toMatchObject(claims.map(({ claim }) => claim))
    expect(rows('deliveries')).toMatchObject(
      claims.flatMap(({ deliveries }, index) => deliveries.map((delivery) => ({ claim: index + 1, ...delivery }))),
    )
    expect(rows('quarantine')).toMatchObject(quarantine.map(({ row }) => row))
  })

  test('a file of version 1 is listed, delivered and written', () => expectToWork(sqliteInbox(fileOf1())))

  test('a later version is refused, and left alone', () => {
    const file = fileOf1()
    const db = connect(file)
    db.exec('INSERT INTO conversion_webhook_schema (version) VALUES (2)')
    const before = tables(db)
    expect(() => sqliteInbox(file)).toThrow('has tables of version 2')
    expect(tables(db)).toEqual(before)
  })

  test('a column of a later version is added to the rows that are there', () => {
    const db = connect(':memory:')
    db.exec(`CREATE TABLE t (${definitions(columns, 'sqlite')}); INSERT INTO t VALUES (1, 'a')`)
    db.exec(additions({ t: columns }, 'sqlite', 2))
    db.exec(`INSERT INTO t VALUES (2, 'b', 'c')`)
    expect(db.prepare('SELECT * FROM t').all()).toEqual([
      { claim: 1, id: 'a', later: null },
      { claim: 2, id: 'b', later: 'c' },
    ])
  })
})

/** With one that version 2 adds. */
const column = columnsOf<{ claim: string | number; id: string; later?: string }>()
const columns = [
  column('claim', 'claim', claimKey),
  column('id', 'id', id),
  column('later', 'later', orNull(text), { since: 2 }),
]

describePostgres('PostgreSQL', () => {
  const server = serving()
  afterEach(async () => {
    await server.client.query('DROP SCHEMA IF EXISTS conversion_webhook CASCADE')
  })

  async function insert(table: string, cells: Cells): Promise<void> {
    const marks = Object.keys(cells).map((_name, index) => `$${String(index + 1)}`)
    const names = Object.keys(cells).join(', ')
    await server.client.query(
      `INSERT INTO conversion_webhook.${table} (${names}) VALUES (${marks.join(', ')})`,
      Object.values(cells),
    )
  }

  async function makeVersion1(): Promise<void> {
    await server.client.query(tablesOf1('postgres'))
    for (const { claim, deliveries } of claims) {
      await insert('claims', claim)
      for (const delivery of deliveries) await insert('deliveries', { claim: claim.id, ...delivery })
    }
    for (const { row } of quarantine) await insert('quarantine', { ...row, keys: '{}' })
  }

  const describeTables = async () => {
    const queries = [
      `SELECT table_name, column_name, ordinal_position, data_type, collation_name, is_nullable, column_default, is_identity
       FROM information_schema.columns WHERE table_schema = 'conversion_webhook' ORDER BY table_name, ordinal_position`,
      `SELECT indexdef FROM pg_indexes WHERE schemaname = 'conversion_webhook' ORDER BY indexdef`,
      `SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'conversion_webhook'::regnamespace AND relkind = 'r' ORDER BY relname`,
    ]
    const found = []
    for (const query of queries) found.push((await server.client.query(query)).rows)
    return found
  }

  test('a database of version 1 becomes what a new one is', async () => {
    await server.client.query(tablesOf1('postgres'))
    await migratePostgres(server.client, 'conversion_webhook')
    const old = await describeTables()
    await server.client.query('DROP SCHEMA conversion_webhook CASCADE')
    await migratePostgres(server.client, 'conversion_webhook')
    expect(old).toEqual(await describeTables())
  })

  test('a database of version 1 keeps its rows, cell by cell', async () => {
    await makeVersion1()
    await migratePostgres(server.client, 'conversion_webhook')
    const rows = new PostgresRows('conversion_webhook')
    const kept = new PostgresQuarantine('conversion_webhook', durableBudget)
    for (const { record } of claims) {
      expect([...(await rows.records(server.client, [record.id])).values()]).toEqual([record])
    }
    for (const { record } of quarantine) expect(await kept.find(server.client, record.id)).toEqual(record)
  })

  test('what is written today has the cells of version 1', async () => {
    await migratePostgres(server.client, 'conversion_webhook')
    const rows = new PostgresRows('conversion_webhook')
    const kept = new PostgresQuarantine('conversion_webhook', durableBudget)
    await rows.write(
      server.client,
      claims.map(({ record }) => ({ before: undefined, after: record })),
    )
    const records = new Map(quarantine.map(({ record }) => [record.id, record]))
    await kept.write(server.client, new Map(), records, [], new Tally())
    const written = async (table: string) => {
      const found = await server.client.query(`SELECT * FROM conversion_webhook.${table} ORDER BY number`)
      return found.rows as Cells[]
    }
    /** The driver gives bigints as strings. */
    const given = (cells: Cells) =>
      Object.fromEntries(
        Object.entries(cells).map(([name, cell]) => [
          name,
          typeof cell === 'number' &&
          (name.endsWith('_at') || ['held_since', 'first_date', 'held_until', 'count'].includes(name))
            ? String(cell)
            : cell,
        ]),
      )
    expect(await written('claims')).toMatchObject(claims.map(({ claim }) => claim))
    expect(await written('deliveries')).toMatchObject(
      claims.flatMap(({ claim, deliveries }) => deliveries.map((each) => given({ claim: claim.id, ...each }))),
    )
    expect(await written('quarantine')).toMatchObject(quarantine.map(({ row }) => given(row)))
  })

  test('a database of version 1 is listed, delivered and written', async () => {
    await makeVersion1()
    await expectToWork(postgresInbox({ connectionString: server.url }))
  })

  test('a later version is refused, and left alone', async () => {
    await makeVersion1()
    await server.client.query('INSERT INTO conversion_webhook.migrations (version) VALUES (2)')
    const before = await describeTables()
    const inbox = postgresInbox({ connectionString: server.url })
    await expect(inbox.stats()).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_NEWER' })
    await inbox.close()
    expect(await describeTables()).toEqual(before)
  })

  test('a column of a later version is added to the rows that are there', async () => {
    const { client } = server
    await client.query(
      `CREATE SCHEMA conversion_webhook; CREATE TABLE conversion_webhook.t (${definitions(columns, 'postgres')})`,
    )
    await client.query(`INSERT INTO conversion_webhook.t VALUES ('1', 'a')`)
    await client.query(additions({ 'conversion_webhook.t': columns }, 'postgres', 2))
    await client.query(`INSERT INTO conversion_webhook.t VALUES ('2', 'b', 'c')`)
    expect((await client.query('SELECT * FROM conversion_webhook.t ORDER BY id')).rows).toEqual([
      { claim: '1', id: 'a', later: null },
      { claim: '2', id: 'b', later: 'c' },
    ])
  })
})
