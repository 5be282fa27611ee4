import { commitTransaction } from '../../lib/inbox/stores/postgres-commit.js'
import type { PostgresConnection, PostgresPool } from '../../lib/inbox/stores/postgres-client.js'
import { commitClient, type PostgresClient } from '../../lib/inbox/stores/postgres-commit-client.js'
import { begin, Connections } from '../../lib/inbox/stores/postgres-connections.js'
import { deferred } from '../support/recorder.js'

jest.mock('node:timers/promises', () => ({ setTimeout: () => Promise.resolve() })) // retries come without delay

/* Transactions on a server that answers too late, or never. */

afterEach(() => {
  jest.useRealTimers()
})

/** A pool of one connection, on which one statement is answered only when the test says so. */
function poolWith(slow: string) {
  const sent: string[] = []
  const released: unknown[] = []
  const answer = deferred()
  const connection: PostgresConnection = {
    query: async (text) => {
      if (released.length > 0) throw new Error('Client was closed and is not queryable') // as pg's own
      sent.push(text)
      if (text === slow) await answer.promise
      return { rows: [] }
    },
    release: (error) => {
      released.push(error)
    },
    on: () => undefined,
    off: () => undefined,
  }
  const pool: PostgresPool = {
    query: (text) => connection.query(text),
    connect: () => Promise.resolve(connection),
    end: () => Promise.resolve(),
    on: () => undefined,
  }
  const closing = new AbortController()
  return { pool, connections: new Connections(pool, closing.signal), closing, sent, released, answer }
}

test('a transaction that timed out sends nothing more, though its statement is answered later', async () => {
  jest.useFakeTimers()
  const { connections, sent, released, answer } = poolWith('SELECT lock')
  const write = deferred<unknown>()
  const result = connections.transaction(async (client) => {
    await client.query('SELECT lock')
    await client.query('UPDATE rows').then(write.resolve, write.resolve)
  })
  const failure = expect(result).rejects.toThrow('PostgreSQL did not answer within 10000 ms')
  await jest.advanceTimersByTimeAsync(10_000)
  answer.resolve()
  await failure
  expect(await write.promise).toBeInstanceOf(Error)
  expect(sent).toEqual([begin({ withinMs: 10_000 }), 'SELECT lock'])
  expect(released).toEqual([true])
})

test('a transaction whose function failed is rolled back, and its connection is used again', async () => {
  const { connections, sent, released } = poolWith('nothing')
  await expect(connections.transaction(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(sent).toEqual([begin({ withinMs: 10_000 }), 'ROLLBACK'])
  expect(released).toEqual([false])
})

test.each([
  ['could have ended it is as good as committed', 'INSERT; COMMIT; BEGIN', 'ERR_CONVERSION_COMMIT_INVALID', 20],
  ['could not have ended it is not committed, and nobody asks', 'INSERT', 'ERR_CONVERSION_INBOX_UNAVAILABLE', 0],
])('a transaction whose server does not come back after a statement that %s', async (_what, text, code, asked) => {
  const { pool } = poolWith('nothing')
  const connection = await pool.connect()
  const isAway = () => Promise.reject(new Error('ECONNREFUSED'))
  const connect = jest.fn<Promise<PostgresConnection>, []>(isAway).mockResolvedValueOnce(connection)
  const connections = new Connections({ ...pool, connect }, new AbortController().signal)
  const result = commitTransaction(
    { connections, commits: connections },
    async (client) => {
      await client.query(text)
      connection.query = isAway
    },
    () => Promise.resolve(),
    new AbortController().signal,
  )
  await expect(result).rejects.toMatchObject({ code })
  expect(connect).toHaveBeenCalledTimes(1 + asked)
})

test('the rollback of a library is one message: no statement of its own waits behind another', async () => {
  const { connections, sent, answer } = poolWith(
    'ROLLBACK TO SAVEPOINT conversion_webhook_1; RELEASE SAVEPOINT conversion_webhook_1',
  )
  await commitTransaction(
    { connections, commits: connections },
    async (client) => {
      await client.query('BEGIN')
      const before = sent.length
      const rolledBack = client.query('ROLLBACK')
      expect(sent.length - before).toBe(1)
      answer.resolve()
      await rolledBack
    },
    () => Promise.resolve(),
    new AbortController().signal,
  )
})

describe('in an aborted transaction, statements of a library that were sent without waiting', () => {
  const fails = /^(?:SAVEPOINT|RELEASE)/
  const aborted: PostgresConnection = {
    query: (text) => (fails.test(text) ? Promise.reject(new Error('aborted')) : Promise.resolve({ rows: [] })),
    release: () => undefined,
    on: () => undefined,
    off: () => undefined,
  }
  const query = (client: PostgresClient, text: string) =>
    (client as { query(sql: string): Promise<unknown> }).query(text)

  test.each(['ROLLBACK', 'COMMIT'])('BEGIN and %s leave no transaction open', async (end) => {
    const { client, close } = commitClient(aborted)
    await Promise.allSettled([query(client, 'BEGIN'), query(client, end)])
    expect(close(false)).toBeUndefined()
  })

  test('BEGIN and ROLLBACK hide no transaction that is begun later', async () => {
    let isAborted = true
    const { client, close } = commitClient({
      ...aborted,
      query: (text) => (isAborted ? aborted.query(text) : Promise.resolve({ rows: [] })),
    })
    await Promise.allSettled([query(client, 'BEGIN'), query(client, 'ROLLBACK')])
    isAborted = false
    await query(client, 'BEGIN')
    expect(close(false)).toBe('open')
  })
})
