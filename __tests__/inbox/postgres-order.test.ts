import { Pool } from 'pg'
import { Connections } from '../../lib/inbox/stores/postgres-connections.js'
import { commitTransaction } from '../../lib/inbox/stores/postgres-commit.js'
import { hasPostgres, serving } from '../support/postgres.js'

/* Statements of one transaction that are sent without waiting for each other: if one fails, none takes effect. */

const describePostgres = hasPostgres ? describe : describe.skip

describePostgres.each([
  ['an app', {}],
  ['ours, which pipelines', { pipeline: true }],
])('on a pool of %s', (_whose, options) => {
  const postgres = serving()
  let pool: Pool
  let connections: Connections
  const warnings: string[] = []
  const warned = ({ message }: Error): void => void warnings.push(message)
  beforeEach(async () => {
    await postgres.client.query('CREATE TABLE written (place text)')
    pool = new Pool({ connectionString: postgres.url, max: 1, ...options })
    connections = new Connections(pool, new AbortController().signal)
    process.on('warning', warned)
  })
  afterEach(async () => {
    process.off('warning', warned)
    connections.close()
    await pool.end()
    await postgres.client.query('DROP TABLE written')
    expect(warnings.splice(0)).toEqual([])
  })

  const insert = (place: string) => `INSERT INTO written VALUES ('${place}')`
  const written = async () => (await postgres.client.query<{ place: string }>('SELECT place FROM written')).rows

  test('a statement after one that failed is not executed outside of the transaction', async () => {
    const result = connections.transaction((client) =>
      Promise.all(
        ['SELECT 1/0', insert('second'), insert('third'), insert('fourth')].map((text) => client.query(text)),
      ),
    )
    await expect(result).rejects.toThrow('division by zero')
    await connections.query('SELECT 1') // runs on the same connection, after all statements of the transaction
    expect(await written()).toEqual([])
  })

  test('the transaction rejects with the first failure, in whatever order the statements reject', async () => {
    const result = connections.transaction(async (client) => {
      const failing = client.query('SELECT 1/0')
      const second = client.query('SELECT 1')
      const first = failing.catch(async (error: unknown) => {
        await second.catch(() => undefined)
        throw error
      })
      await Promise.all([first, second])
    })
    await expect(result).rejects.toThrow('division by zero')
  })

  test('a statement after a failure that was not of a statement is not executed outside of the transaction', async () => {
    const result = connections.transaction((client) => {
      const answers = [insert('first'), insert('second'), insert('third')].map((text) => client.query(text))
      return Promise.all([...answers, answers[0]?.then(() => Promise.reject(new Error('unreadable')))])
    })
    await expect(result).rejects.toThrow('unreadable')
    await connections.query('SELECT 1')
    expect(await written()).toEqual([])
  })

  test('a delivery is not recorded as done if the effect of its commit is rolled back', async () => {
    const result = commitTransaction(
      { commits: connections, connections },
      (client) => client.query(insert('effect')),
      (client) => Promise.all(['SELECT 1/0', insert('second'), insert('third')].map((text) => client.query(text))),
      new AbortController().signal,
    )
    await expect(result).rejects.toThrow()
    await connections.query('SELECT 1')
    expect(await written()).toEqual([])
  })
})
