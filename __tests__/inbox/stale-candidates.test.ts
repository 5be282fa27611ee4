import { Client } from 'pg'
import { takeOver } from '../../lib/inbox/transitions.js'
import { durableBudget } from '../../lib/inbox/quarantine.js'
import { findDelivery, type ClaimRecord } from '../../lib/inbox/records.js'
import type { Candidate, DurableStore } from '../../lib/inbox/store.js'
import { openPostgres, requireDrivers } from '../../lib/inbox/stores/postgres-open.js'
import { PostgresStore } from '../../lib/inbox/stores/postgres.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { callbackOf, recordOf } from '../support/ledger.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'

/* A candidate is processed some time after it was found. A delivery that was taken over meanwhile must not be taken over again. */

const waiting = recordOf([callbackOf('success'), { success: 'waiting' }])
const policy = { now: 50, random: 0, maxAttempts: 12, maxHoldMs: 0 }

function write<Tx>(store: DurableStore<Tx>, record: ClaimRecord): Promise<void> {
  return store.change({ claim: record.id, apply: () => ({ record, result: undefined }) })
}

/** Processes a candidate as a process with a free slot does; resolves with the attempt that runs then. */
async function take<Tx>(store: DurableStore<Tx>, candidate: Candidate | undefined, now: number) {
  if (candidate === undefined || !('claim' in candidate)) throw new Error('no candidate')
  const { claim, owner, isLapsed } = candidate
  const claiming = { handlers: { has: () => true }, hasConfirm: true, owner, now, mayRun: () => true }
  await store.change({
    claim,
    candidateOwner: owner,
    apply: (found) => takeOver(found, isLapsed, { ...policy, now }, claiming),
  })
  return running(store)
}

async function running<Tx>(store: DurableStore<Tx>) {
  const record = await store.record(waiting.id)
  const { state, owner, startedAt, attempts } = (record && findDelivery(record, 'success')) ?? {}
  return { state, owner, startedAt, attempts }
}

const describeSqlite = hasSqlite ? describe : describe.skip
const describePostgres = hasPostgres ? describe : describe.skip

describeSqlite('SQLite', () => {
  const folder = temporaryFolder()
  let store: SqliteStore
  beforeEach(() => {
    store = new SqliteStore(openSqlite(folder.file('inbox.db')), { wall: () => 50, elapsed: () => 50 })
  })
  afterEach(async () => {
    await store.close()
    folder.remove()
  })

  /** A record with an attempt of another process, which the storage takes for gone. */
  const attempt = (startedAt: number, owner = 'other'): ClaimRecord => ({
    ...waiting,
    deliveries: waiting.deliveries.map((each) => ({
      ...each,
      state: 'running',
      attempts: startedAt,
      startedAt,
      owner,
    })),
  })

  test('takes over the attempt of a process that is gone, once', async () => {
    await write(store, attempt(1))
    const [candidate] = await store.candidates(1, new Set())
    expect(await take(store, candidate, 50)).toMatchObject({ state: 'running', owner: store.owner, startedAt: 50 })
    expect(await take(store, candidate, 60)).toMatchObject({ state: 'running', owner: store.owner, startedAt: 50 })
  })

  test('does not take over a later attempt of a process that was taken for gone', async () => {
    await write(store, attempt(1))
    const [candidate] = await store.candidates(1, new Set())
    await write(store, attempt(2))
    expect(await take(store, candidate, 50)).toMatchObject({ state: 'running', owner: 'other', startedAt: 2 })
  })

  test('does not take over a delivery that was found as due and has been claimed by another process since', async () => {
    await write(store, { ...attempt(1), id: 'another', identity: 'another' })
    await write(store, waiting)
    const candidates = await store.candidates(2, new Set())
    const due = candidates.find((each) => 'claim' in each && each.claim === waiting.id)
    await write(store, attempt(2))
    expect(await take(store, due, 50)).toMatchObject({ state: 'running', owner: 'other', startedAt: 2 })
  })

  test('takes over from itself an attempt that it found left behind twice, and no later attempt', async () => {
    const none = new Set<string>()
    await write(store, attempt(1, store.owner))
    expect(await store.leftBehind(none)).toEqual([])
    await write(store, attempt(2, store.owner))
    expect(await store.leftBehind(none)).toEqual([])
    const [candidate] = await store.leftBehind(none)
    await write(store, attempt(3, store.owner))
    expect(await take(store, candidate, 50)).toMatchObject({ startedAt: 3 })
    await write(store, attempt(2, store.owner))
    expect(await take(store, candidate, 50)).toMatchObject({ owner: store.owner, startedAt: 50 })
  })
})

describePostgres('PostgreSQL', () => {
  let server: Server
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())

  test('a ticket does not take over a delivery that a later ticket of the same job has taken over', async () => {
    const options = { connectionString: server.url, schema: 'tickets', onError: () => undefined }
    const store = new PostgresStore(
      (quarantineBudget, closing) => openPostgres(requireDrivers(), { ...options, quarantineBudget }, closing),
      durableBudget,
    )
    const client = new Client({ connectionString: server.url })
    await client.connect()
    await write(store, waiting)
    const candidates: Candidate[] = []
    for (let times = 0; times < 3; times++) {
      candidates.push(...(await store.candidates(1)))
      // As pg-boss does with the job of a process that fell silent.
      await client.query("UPDATE tickets.job SET state = 'retry', start_after = now() WHERE state = 'active'")
    }
    const [first, second, third] = candidates
    expect(await take(store, first, 1)).toMatchObject({ startedAt: 1, attempts: 1 })
    expect(await take(store, third, 2)).toMatchObject({ startedAt: 2, attempts: 2 })
    expect(await take(store, second, 3)).toMatchObject({ startedAt: 2, attempts: 2 })
    expect(await take(store, first, 4)).toMatchObject({ startedAt: 2, attempts: 2 })
    await client.end()
    await store.close()
  })
})
