import { drizzle } from 'drizzle-orm/node-postgres'
import { pgTable, text } from 'drizzle-orm/pg-core'
import makeKnex from 'knex'
import { Pool, Query, type PoolClient } from 'pg'
import { conversionWebhook, isConversionWebhookError } from '../../lib/index.js'
import { postgresInbox, type PostgresClient } from '../../lib/postgres.js'
import { eventually } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { libraries } from '../support/libraries.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'

/* commit through real libraries on a real PostgreSQL. Each test checks the rows of the shop and the state of the delivery. */

const describePostgres = hasPostgres ? describe : describe.skip
const conversion = params({ conversion: 'success', orderID: 'A', goal_complete: '0' })

let server: Server
let pool: Pool
let count = 0
const closing: (() => unknown)[] = []

describePostgres('commit', () => {
  beforeAll(async () => {
    server = await startServer()
    pool = new Pool({ connectionString: server.url })
    pool.on('error', () => undefined)
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(async () => {
    await pool.end()
    await server.stop()
  })

  /** Delivers once with the effect `fn`; resolves with the shop's rows once nothing waits any more. */
  async function deliver(
    fn: (client: PostgresClient, table: string, attempt: number) => unknown,
    options: { handlerTimeoutMs?: number; swallows?: boolean; pool?: Pool } = {},
  ) {
    const schema = `library_${String(++count)}`
    const table = `rewards_${String(count)}`
    await pool.query(`CREATE TABLE ${table} (id text)`)
    const { swallows = false, pool: own, ...limits } = options
    const codes: unknown[] = []
    const dead: unknown[] = []
    const attempts: number[] = []
    const values: unknown[] = []
    const inbox = postgresInbox({ ...(own ? { pool: own } : { connectionString: server.url }), schema })
    const webhook = conversionWebhook(
      {
        onSuccess: async (_conversion, { commit }) => {
          const attempt = attempts.length + 1
          attempts.push(attempt)
          try {
            values.push(await commit((client) => fn(client, table, attempt)))
          } catch (error) {
            codes.push(isConversionWebhookError(error) ? error.code : error)
            if (!swallows) throw error
          }
        },
        onError: () => undefined,
        onDead: (delivery) => dead.push(delivery),
      },
      { secret: false, inbox, ...limits },
    )
    closing.push(() => webhook.close())
    const { id } = await webhook.accept(conversion)
    await eventually(
      async () => (await inbox.list())[0]?.state,
      (now) => {
        if (now === 'waiting') void inbox.replay(`${id}:success`).catch(() => undefined) // at once
        return now === 'dead' ? dead.length > 0 : now !== 'waiting' && now !== 'running'
      },
    )
    const rows = async () => (await pool.query<{ id: string }>(`SELECT id FROM ${table}`)).rows.map((row) => row.id)
    const key = `${id}:success`
    const state = async () => (await inbox.get(key))?.state
    return {
      key,
      inbox,
      rows: await rows(),
      laterRows: rows,
      state: await state(),
      codes,
      dead,
      attempts,
      values,
      table,
    }
  }

  describe.each(libraries)('%s', (_name, bind) => {
    test('plain statements and a transaction are part of the delivery', async () => {
      const { rows, state, attempts } = await deliver(async (client, table) => {
        const { rewards, transaction } = bind(client, table)
        await rewards.insert('plain')
        await transaction(async (tx) => {
          await tx.insert('in a transaction')
        })
      })
      expect([rows, state, attempts]).toEqual([['plain', 'in a transaction'], 'done', [1]])
    })

    test('a throw after a transaction rolls it back, and the next attempt pays once', async () => {
      const { rows, state, attempts } = await deliver(async (client, table, attempt) => {
        await bind(client, table).transaction(async (tx) => {
          await tx.insert(String(attempt))
        })
        if (attempt === 1) throw new Error('after it')
      })
      expect([rows, state, attempts]).toEqual([['2'], 'done', [1, 2]])
    })

    test('a nested transaction that is rolled back leaves the outer one', async () => {
      const { rows, state } = await deliver(async (client, table) => {
        const { rewards, nested } = bind(client, table)
        await nested('outer', async (tx) => {
          await tx.insert('inner')
        })
        const failing = nested('outer again', async (tx) => {
          await tx.insert('lost')
          throw new Error('no')
        })
        await expect(failing).rejects.toThrow('no')
        await rewards.insert('after')
      })
      expect([rows, state]).toEqual([['outer', 'inner', 'after'], 'done'])
    })

    test('a statement that failed in a transaction rolls back that transaction only', async () => {
      const { rows, state } = await deliver(async (client, table) => {
        const { rewards, transaction } = bind(client, table)
        await rewards.insert('before')
        const failing = transaction(async (tx) => {
          await tx.insert('lost')
          await tx.fail()
        })
        await expect(failing).rejects.toThrow()
        await rewards.insert('after')
      })
      expect([rows, state]).toEqual([['before', 'after'], 'done'])
    })

    test('a failure that is swallowed in a transaction commits nothing', async () => {
      const { rows, state, attempts } = await deliver(async (client, table, attempt) => {
        await bind(client, table).transaction(async (tx) => {
          await tx.insert(String(attempt))
          if (attempt === 1) await tx.fail().catch(() => undefined)
        })
      })
      expect([rows, state, attempts]).toEqual([['2'], 'done', [1, 2]])
    })

    test('twenty transactions in a row are committed', async () => {
      const { rows, state } = await deliver(async (client, table) => {
        const { transaction } = bind(client, table)
        for (let index = 0; index < 20; index++) {
          await transaction(async (tx) => {
            await tx.insert(String(index))
            if (index % 2 === 1) throw new Error('odd')
          }).catch(() => undefined)
        }
      })
      expect([rows, state]).toEqual([['0', '2', '4', '6', '8', '10', '12', '14', '16', '18'], 'done'])
    })

    test('a transaction that ends after the time limit of the handler is rolled back', async () => {
      const { rows, state, attempts, codes } = await deliver(
        async (client, table, attempt) => {
          await bind(client, table).transaction(async (tx) => {
            await tx.insert(String(attempt))
            if (attempt === 1) await new Promise((resolve) => setTimeout(resolve, 1_500))
          })
        },
        { handlerTimeoutMs: 1_000 },
      )
      expect([rows, state, attempts, codes]).toEqual([['2'], 'done', [1, 2], ['ERR_CONVERSION_ATTEMPT_LAPSED']])
    })

    test('two transactions at once are refused, also if their rejections are ignored', async () => {
      const { rows, codes, state } = await deliver(async (client, table, attempt) => {
        const { transaction } = bind(client, table)
        const insert = (id: string) => () =>
          transaction(async (tx) => {
            await tx.insert(id)
          })
        if (attempt === 1) await Promise.allSettled([insert('a')(), insert('b')()])
        else for (const id of ['a', 'b']) await insert(id)()
      })
      expect([rows, state, codes]).toEqual([['a', 'b'], 'done', ['ERR_CONVERSION_COMMIT_INVALID']])
    })

    test('a transaction that fn does not await is refused', async () => {
      const { rows, codes, state } = await deliver(async (client, table, attempt) => {
        const begun = deferred()
        const running = bind(client, table).transaction(async (tx) => {
          begun.resolve()
          await tx.insert(String(attempt))
          if (attempt === 1) await new Promise((resolve) => setTimeout(resolve, 50))
        })
        running.catch(() => undefined)
        if (attempt === 1) await begun.promise
        else await running
      })
      expect([rows, state, codes]).toEqual([['2'], 'done', ['ERR_CONVERSION_COMMIT_INVALID']])
    })
  })

  test.each([
    [
      'Drizzle',
      (client: PostgresClient, table: string, attempt: number) =>
        drizzle(client)
          .insert(pgTable(table, { id: text('id') }))
          .values({ id: String(attempt) })
          .returning(),
    ],
    [
      'Knex',
      (client: PostgresClient, table: string, attempt: number) =>
        makeKnex({ client: 'pg' })(table)
          .insert({ id: String(attempt) }, '*')
          .connection(client),
    ],
  ])('a statement of %s that fn returns without awaiting it is sent once', async (_name, fn) => {
    const { rows, state, attempts, codes, values } = await deliver(fn)
    expect([rows, state, attempts]).toEqual([['1'], 'done', [1]])
    expect([codes, values]).toEqual([[], [[{ id: '1' }]]])
  })

  test.each(['COMMIT', 'ROLLBACK', ' -- done\n/* all /* of */ it */ ; end', 'Abort work;', 'COMMIT AND CHAIN'])(
    '%j outside of a transaction of fn is not sent: the attempt fails, and the next one pays once',
    async (statement) => {
      const { rows, state, attempts, codes, dead } = await deliver(async (client, table, attempt) => {
        await client.query(`INSERT INTO ${table} VALUES ($1)`, [attempt])
        if (attempt === 1) await client.query(statement).catch(() => undefined)
      })
      expect([rows, state, attempts]).toEqual([['2'], 'done', [1, 2]])
      expect([codes, dead]).toEqual([['ERR_CONVERSION_COMMIT_INVALID'], []])
    },
  )

  test.each([
    ['text', (client: PostgresClient) => client.query('COMMIT')],
    ['config', (client: PostgresClient) => client.query({ text: 'commit', values: [] })],
    ['prepared', (client: PostgresClient) => client.query({ name: 'end', text: 'COMMIT' })],
    [
      'callback',
      (client: PostgresClient) =>
        new Promise((done) => {
          client.query('COMMIT', done)
        }),
    ],
    [
      'values and callback',
      (client: PostgresClient) =>
        new Promise((done) => {
          client.query('COMMIT', [], done)
        }),
    ],
    ['isolation level', (client: PostgresClient) => client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')],
    ['mode', (client: PostgresClient) => client.query('START TRANSACTION READ ONLY')],
    ['SET TRANSACTION', (client: PostgresClient) => client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')],
    ['PREPARE TRANSACTION', (client: PostgresClient) => client.query("PREPARE TRANSACTION 'x'")],
    ['our savepoint', (client: PostgresClient) => client.query('ROLLBACK TO conversion_webhook')],
    ['BEGIN among others', (client: PostgresClient) => client.query('BEGIN; SELECT 1; COMMIT')],
    ['COMMIT in a DO block', (client: PostgresClient) => client.query('DO $$ BEGIN COMMIT; END $$')],
    [
      'COMMIT in a procedure',
      async (client: PostgresClient) => {
        await client.query(
          'CREATE PROCEDURE pg_temp.finish() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL pg_temp.finish()',
        )
      },
    ],
  ])('a statement that cannot be part of the transaction is refused: %s', async (_what, send) => {
    const { rows, state, codes } = await deliver(async (client, table, attempt) => {
      await client.query(`INSERT INTO ${table} VALUES ($1)`, [attempt])
      if (attempt === 1) await Promise.allSettled([send(client)])
    })
    expect([rows, state, codes]).toEqual([['2'], 'done', ['ERR_CONVERSION_COMMIT_INVALID']])
  })

  test.each([
    ['COMMIT; BEGIN', ''],
    ['COMMIT', ''],
    ['ROLLBACK; INSERT INTO $table VALUES (1)', 'fail in another'],
    ['COMMIT; BEGIN', 'throw'],
    ['COMMIT; BEGIN', 'swallow'],
  ])('a delivery whose effect ended the transaction by "…; %s" is dead at once (%s)', async (end, then) => {
    const { rows, state, attempts, codes, dead, inbox, key, laterRows } = await deliver(
      async (client, table, attempt) => {
        const insert = `INSERT INTO ${table} VALUES (${String(attempt)})`
        await client.query(`${insert}; ${end.replace('$table', table)}`)
        if (then === 'fail in another') await client.query('SELECT 1; BEGIN; SELECT 1 / 0')
        if (then === 'throw') throw new Error('and more went wrong')
      },
      { swallows: then === 'swallow' },
    )
    expect([rows, state, attempts]).toEqual([['1'], 'dead', [1]])
    expect(codes).toEqual(['ERR_CONVERSION_COMMIT_INVALID'])
    expect(dead).toMatchObject([{ id: key, attempts: 1, error: { code: 'ERR_CONVERSION_COMMIT_INVALID' } }])
    expect((await inbox.get(key))?.lastError?.code).toBe('ERR_CONVERSION_COMMIT_INVALID')
    await inbox.replay(key) // a person's decision
    await eventually(laterRows, (all) => all.length > 1)
  })

  test('a connection that is lost after the transaction was ended does not pay twice', async () => {
    const { rows, state, attempts } = await deliver(async (client, table, attempt) => {
      await client.query(`INSERT INTO ${table} VALUES (${String(attempt)}); COMMIT; BEGIN`)
      await pool.query('SELECT pg_terminate_backend($1)', [await pidOf(client)])
      await client.query('SELECT 1')
    })
    expect([rows, state, attempts]).toEqual([['1'], 'dead', [1]])
  })

  test.each([
    [
      'a prepared statement that is only named',
      async (client: PostgresClient, insert: string) => {
        await client.query(insert)
        await client.query({ name: 'end_of_another' } as { name: string; text: string })
      },
    ],
    [
      'an object that submits itself',
      async (client: PostgresClient, insert: string) => {
        const query = client.query(new Query(`${insert}; COMMIT; BEGIN`))
        await new Promise((resolve) => query.on('end', resolve))
      },
    ],
    [
      'the protocol',
      async (client: PostgresClient, insert: string) => {
        await client.query(insert)
        const { connection } = client as unknown as { connection: { query(text: string): void } }
        connection.query('COMMIT')
        await pool.query('SELECT pg_sleep(0.1)')
      },
    ],
  ])('a connection that is lost after %s ended the transaction does not pay twice', async (_what, end) => {
    const own = new Pool({ connectionString: server.url, max: 4 })
    own.on('error', () => undefined)
    closing.push(() => own.end())
    own.on('connect', (connection) => {
      void connection.query({ name: 'end_of_another', text: 'COMMIT' })
    })
    const { rows, state, attempts } = await deliver(
      async (client, table, attempt) => {
        const pid = await pidOf(client)
        await end(client, `INSERT INTO ${table} VALUES (${String(attempt)})`)
        await pool.query('SELECT pg_terminate_backend($1)', [pid])
        await client.query('SELECT 1')
      },
      { pool: own },
    )
    expect([rows, state, attempts]).toEqual([['1'], 'dead', [1]])
  })

  test('a delivery whose connection is lost in the transaction is retried', async () => {
    const { rows, state, attempts } = await deliver(async (client, table, attempt) => {
      await client.query(`INSERT INTO ${table} VALUES ($1)`, [attempt])
      if (attempt > 1) return
      await pool.query('SELECT pg_terminate_backend($1)', [await pidOf(client)])
      await client.query('SELECT 1')
    })
    expect([rows, state, attempts]).toEqual([['2'], 'done', [1, 2]])
  })

  test('release and end do nothing, connect gives the client, and after fn every call rejects', async () => {
    let kept: PostgresClient | undefined
    const { rows, state } = await deliver(async (client, table) => {
      kept = client
      const same = await client.connect()
      expect(same).toBe(client)
      same.release()
      same.release(true)
      await same.end()
      await same.query(`INSERT INTO ${table} VALUES (1)`)
      await new Promise<void>((resolve) => {
        client.end(() => {
          resolve()
        })
      })
    })
    expect([rows, state]).toEqual([['1'], 'done'])
    const closed = { code: 'ERR_CONVERSION_COMMIT_INVALID' }
    await expect(kept?.query('SELECT 1')).rejects.toMatchObject(closed)
    await expect(kept?.connect()).rejects.toMatchObject(closed)
    expect(
      await new Promise((resolve) => {
        kept?.query('SELECT 1', (error) => {
          resolve(error)
        })
      }),
    ).toMatchObject(closed)
    kept?.release()
  })

  test('a statement that fn did not await is part of the transaction; if it fails, nothing is committed', async () => {
    const { rows, state, codes } = await deliver((client, table, attempt) => {
      void client.query(`INSERT INTO ${table} VALUES ($1)`, [attempt])
      if (attempt === 1) void client.query('SELECT 1 / 0')
    })
    expect([rows, state, codes]).toEqual([['2'], 'done', ['ERR_CONVERSION_COMMIT_INVALID']])
  })

  test('savepoints, prepared statements, callbacks, notices and helpers work as in pg', async () => {
    const heard: unknown[] = []
    const { rows, state } = await deliver(async (client, table) => {
      client.on('notice', ({ message }) => heard.push(message))
      await client.query('SAVEPOINT mine')
      await client.query({ name: 'insert', text: `INSERT INTO ${table} VALUES ($1)`, values: ['lost'] })
      await client.query('ROLLBACK TO SAVEPOINT mine')
      await client.query({ name: 'insert', text: `INSERT INTO ${table} VALUES ($1)`, values: ['kept'] })
      await client.query(`DO $$ BEGIN RAISE NOTICE 'hello'; END $$`)
      const result = await new Promise((resolve) => {
        client.query(`SELECT ${client.escapeLiteral("it's")} AS a`, (_error, { rows }) => {
          resolve(rows)
        })
      })
      heard.push(
        result,
        (await client.query<{ a: number }>({ text: 'SELECT 1 AS a', rowMode: 'array' } as { text: string })).rows,
      )
    })
    expect([rows, state]).toEqual([['kept'], 'done'])
    expect(heard).toEqual(['hello', [{ a: "it's" }], [[1]]])
  })

  test('connect calls back, and an object that submits itself is sent unless it ends the transaction', async () => {
    let kept: PostgresClient | undefined
    const connected = (client: PostgresClient) =>
      new Promise((resolve) => {
        client.connect((error: unknown, same?: unknown) => {
          resolve([error, same])
        })
      })
    const { rows, state, codes } = await deliver(async (client, table, attempt) => {
      kept = client
      expect(await connected(client)).toEqual([undefined, client])
      const query = client.query(new Query(`INSERT INTO ${table} VALUES ($1)`, [attempt]))
      await new Promise((resolve) => query.on('end', resolve))
      const invalid = expect.objectContaining({ code: 'ERR_CONVERSION_COMMIT_INVALID' }) as unknown
      if (attempt === 1) expect(() => client.query(new Query('BEGIN'))).toThrow(invalid as Error)
    })
    expect([rows, state, codes]).toEqual([['2'], 'done', ['ERR_CONVERSION_COMMIT_INVALID']])
    expect(() => kept?.query(new Query('SELECT 1'))).toThrow('has settled')
    expect(kept && (await connected(kept))).toMatchObject([{ code: 'ERR_CONVERSION_COMMIT_INVALID' }, undefined])
  })

  test('listeners that fn adds are removed with its client', async () => {
    const own = new Pool({ connectionString: server.url, max: 4 })
    own.on('error', () => undefined) // the server may end before its connections have
    closing.push(() => own.end())
    const connections: PoolClient[] = []
    own.on('connect', (connection) => connections.push(connection))
    const { state } = await deliver((client) => client.on('notice', () => undefined), { pool: own })
    expect(state).toBe('done')
    expect(connections.map((connection) => connection.listenerCount('notice'))).toEqual(connections.map(() => 0))
  })
})

async function pidOf(client: PostgresClient): Promise<number | undefined> {
  return (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid
}
