import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Inbox } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { settled } from '../contract/inboxes.js'
import { query } from '../support/callbacks.js'
import { send } from '../support/client.js'
import { startServer, type Server } from '../support/postgres.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* Four processes with handlers share an inbox and get the same callbacks at the same time. */

const describeProcesses = hasSqlite ? describe : describe.skip

interface Shared {
  readonly inbox: Inbox
  readonly options: object
  rewards(orderId: string): Promise<number>
  close(): Promise<void>
}

function shareSqlite(): Promise<Shared> {
  const folder = temporaryFolder()
  const file = folder.file('inbox.db')
  const inbox = sqliteInbox(file)
  const db = openFile(file)
  db.exec('PRAGMA busy_timeout = 5000; CREATE TABLE rewards (number TEXT, claim TEXT, referrer TEXT)')
  return Promise.resolve({
    inbox,
    options: { inbox: 'sqlite', file, log: folder.file('log') },
    rewards: (orderId) =>
      Promise.resolve(Number(db.prepare('SELECT count(*) AS n FROM rewards WHERE number = ?').get(orderId)?.n)),
    close: async () => {
      db.close()
      await inbox.close()
      folder.remove()
    },
  })
}

async function sharePostgres(): Promise<Shared> {
  const folder = temporaryFolder()
  const server: Server = await startServer()
  const client = new Client({ connectionString: server.url })
  await client.connect()
  await client.query('CREATE TABLE rewards (number text, claim text, referrer text)')
  const inbox = postgresInbox({ connectionString: server.url })
  return {
    inbox,
    options: { inbox: 'postgres', url: server.url, log: folder.file('log') },
    rewards: async (orderId) => {
      const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM rewards WHERE number = $1', [
        orderId,
      ])
      return Number(rows[0]?.n)
    },
    close: async () => {
      await inbox.close()
      await client.end()
      await server.stop()
      folder.remove()
    },
  }
}

describeProcesses.each([
  ['SQLite', shareSqlite],
  ['PostgreSQL', sharePostgres],
])('four processes on one %s', (_name, share) => {
  let shared: Shared
  let children: ChildProcess[]
  let ports: number[]

  beforeAll(async () => {
    shared = await share()
    children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, [join(__dirname, 'server.mjs'), JSON.stringify(shared.options)], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
    )
    ports = await Promise.all(
      children.map(async (child) => ((await once(child, 'message')) as [{ port: number }])[0].port),
    )
  }, 60_000)

  afterAll(async () => {
    for (const child of children) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    await shared.close()
  })

  const outcomes = (changes: readonly Record<string, string>[]) =>
    Promise.all(
      changes.map(async (change, index) => {
        const path = `/webhook${query({ goal_complete: '0', ...change })}`
        const { status, body } = await send(ports[index % 4] ?? 0, path)
        return status === 409 ? 'conflict' : (JSON.parse(body) as { outcome?: string }).outcome
      }),
    )

  test('the same callback a hundred times at once is accepted once and delivered once', async () => {
    const answers = await outcomes(Array.from({ length: 100 }, () => ({ orderID: 'same' })))
    expect(answers.sort()).toEqual(['accepted', ...Array<string>(99).fill('duplicate')])
    await settled(shared.inbox)
    expect(await shared.rewards('same')).toBe(1)
  })

  test('of two callbacks with different amounts at once, one is accepted and the other is a conflict', async () => {
    for (let round = 0; round < 10; round++) {
      const orderID = `order ${String(round)}`
      const answers = await outcomes([
        { orderID, purchaseValue: '5' },
        { orderID, purchaseValue: '6' },
      ])
      expect(answers.sort()).toEqual(['accepted', 'conflict'])
    }
    await settled(shared.inbox)
    for (let round = 0; round < 10; round++) expect(await shared.rewards(`order ${String(round)}`)).toBe(1)
  })
})
