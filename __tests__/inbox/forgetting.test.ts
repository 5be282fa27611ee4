import { eraser, pruner } from '../../lib/inbox/operators/prune-and-erase.js'
import { durableBudget, maxAgeMs } from '../../lib/inbox/quarantine.js'
import { replayer } from '../../lib/inbox/operators/replay.js'
import type { Store } from '../../lib/inbox/store.js'
import { MemoryClaims, memoryRoom } from '../../lib/inbox/stores/memory-claims.js'
import { MemoryStore } from '../../lib/inbox/stores/memory-store.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { callbackOf, recordOf } from '../support/ledger.js'
import { numbered, refused } from '../support/refused.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* prune and erase of quarantined callbacks that are replayed meanwhile, and of how a callback came. */

const folder = temporaryFolder()
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  folder.remove()
})

function openStore(file: string): SqliteStore {
  const store = new SqliteStore(openSqlite(file))
  closing.push(() => store.close())
  return store
}

const kinds: [name: string, open: () => Store][] = [
  ['memory', () => new MemoryStore(new MemoryClaims(memoryRoom), durableBudget)],
  ...(hasSqlite ? [['SQLite', () => openStore(folder.file('inbox.db'))] as [string, () => Store]] : []),
]

describe.each(kinds)('%s: a refused callback that is replayed after prune or erase has listed it', (_name, open) => {
  const email = 'ann@example.com'
  const record = refused([['referee_email', email]], { receivedAt: Date.now() - 1_000_000 })

  /** A store that replays the callback as soon as it has been listed. */
  async function replayedOnceListed(): Promise<Store> {
    const store = open()
    await store.change({ quarantined: record.id, apply: () => ({ quarantined: record, result: undefined }) })
    const list = store.allQuarantined.bind(store)
    store.allQuarantined = async (...portion) => {
      const page = await list(...portion)
      await replayer(store, () => undefined)(record.id)
      return page
    }
    return store
  }

  test('is not pruned', async () => {
    const store = await replayedOnceListed()
    await pruner(store)({ olderThanDays: 0 })
    expect(await store.quarantined(record.id)).toMatchObject({ state: 'waiting' })
  })

  test('is not erased, but reported as waiting', async () => {
    const store = await replayedOnceListed()
    expect(await eraser(store)({ email })).toEqual({ erased: 0, waiting: [record.id] })
    expect(await store.quarantined(record.id)).toMatchObject({ state: 'waiting' })
  })
})

const testSqlite = hasSqlite ? test : test.skip
testSqlite.each([
  ['prune', (store: Store) => pruner(store)({ olderThanDays: 0 })],
  ['erase', (store: Store) => eraser(store)({ email: 'ann@example.com' })],
])('%s leaves a claim that is damaged after it was listed, does the others, then rejects', async (_name, operate) => {
  const file = folder.file('inbox.db')
  const store: Store = openStore(file)
  const [first, second] = ['A', 'B'].map((orderID) =>
    recordOf(callbackOf('success', { orderID, referee_email: 'ann@example.com' })),
  )
  for (const record of [first, second]) {
    if (record) await store.change({ claim: record.id, apply: () => ({ record, result: undefined }) })
  }
  for (const name of ['records', 'settled'] as const) {
    const read = store[name].bind(store) as (...asked: unknown[]) => Promise<never>
    store[name] = async (...asked: unknown[]) => {
      const portion = await read(...asked)
      const db = openFile(file)
      db.prepare("UPDATE conversion_webhook_claims SET status = 'unknown' WHERE id = ?").run(first?.id ?? '')
      db.close()
      return portion
    }
  }
  const message = expect.stringContaining(`stay as they are, all others are done (${first?.id ?? ''})`) as string
  await expect(operate(store)).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_CORRUPT', message })
  const left = await store.record(second?.id ?? '')
  expect(left?.deliveries.map(({ callback }) => callback.params)).toEqual([{}])
})

describe.each(kinds)('%s: how a callback came', (_name, open) => {
  const carrier = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const said = {
    via: { by: 'request', method: 'GET', userAgent: 'Sender (mail to ann@example.com)' },
    carrier,
  } as const
  const { via } = said
  const record = recordOf({ ...callbackOf('success'), ...said })
  const forget: readonly (readonly [string, (store: Store) => Promise<unknown>])[] = [
    ['erased', (store) => eraser(store)({ email: 'ann@example.com' })],
    ['pruned', (store) => pruner(store)({ olderThanDays: 0 })],
  ]

  test.each(forget)('is %s with the rest of the payload', async (_how, forgotten) => {
    const store = open()
    await store.change({ claim: record.id, apply: () => ({ record, result: undefined }) })
    const kept = async () => (await store.record(record.id))?.deliveries.map(({ callback }) => callback)
    expect(await kept()).toMatchObject([said])
    await forgotten(store)
    expect(JSON.stringify(await kept())).not.toMatch(/via|carrier|Sender|0af765/)
  })

  test('makes erase find a refused callback', async () => {
    const store = open()
    const callback = refused([['orderID', '1']], { received: { via } })
    await store.change({ quarantined: callback.id, apply: () => ({ quarantined: callback, result: undefined }) })
    expect(await store.quarantined(callback.id)).toMatchObject({ received: { via } })
    expect(await eraser(store)({ email: 'ann@example.com' })).toEqual({ erased: 1, waiting: [] })
  })
})

;(hasSqlite ? test : test.skip)('what is too old leaves a SQLite file in one commit', async () => {
  const file = folder.file('inbox.db')
  const store = openStore(file)
  const numbers = Array.from({ length: 300 }, (_each, index) => index)
  await Promise.all(
    numbers.map((number) => {
      const record = numbered(number)
      return store.change({ quarantined: record.id, apply: () => ({ quarantined: record, result: undefined }) })
    }),
  )
  const db = openFile(file)
  db.prepare('UPDATE conversion_webhook_quarantine SET received_at = ?').run(Date.now() - maxAgeMs - 1)
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  await store.beat()
  expect(db.prepare('SELECT count(*) AS rows FROM conversion_webhook_quarantine').get()).toEqual({ rows: 0 })
  // Each commit would write the pages that it touches once more.
  const { log } = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get() as { log: number }
  expect(log).toBeLessThan(150)
  db.close()
})
