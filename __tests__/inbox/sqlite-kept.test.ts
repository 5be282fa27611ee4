import { claim, settle } from '../../lib/inbox/delivery.js'
import { withDelivery, type ClaimRecord } from '../../lib/inbox/records.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { callbackOf, recordOf } from '../support/ledger.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* Which claims a process does not read again for the verdict on their delivery: only those that nothing else can have written since. */

const describeSqlite = hasSqlite ? describe : describe.skip
const attempts = 7
const more = `UPDATE conversion_webhook_deliveries SET attempts = ${String(attempts)}`

describeSqlite('a claim with a delivery that runs in this process', () => {
  const folder = temporaryFolder()
  let store: SqliteStore
  let db: ReturnType<typeof openSqlite>
  let wall: number
  let running: ClaimRecord
  beforeEach(async () => {
    wall = Date.now()
    db = openSqlite(folder.file('inbox.db'))
    store = new SqliteStore(db, { wall: () => wall, elapsed: () => 0 })
    const claimer = { handlers: { has: () => true }, hasConfirm: false, owner: store.owner, now: 0, holders: new Map() }
    running = claim(recordOf([callbackOf('success'), { success: 'waiting' }]), 'success', claimer).record
    await write(running)
  })
  afterEach(async () => {
    await store.close()
    folder.remove()
  })

  const write = (record: ClaimRecord, effect?: () => unknown): Promise<unknown> =>
    store.change({ claim: record.id, apply: () => ({ record, result: undefined }), ...(effect && { effect }) })
  const found = (): Promise<ClaimRecord | undefined> =>
    store.change({ claim: running.id, apply: ({ record }) => ({ result: record }) })
  const foundAttempts = async () => (await found())?.deliveries[0]?.attempts

  test('is not read again, until that delivery ends', async () => {
    expect(await found()).toBe(running)
    expect(await found()).toBe(running)
    const done = settle(running, 'success', { state: 'done' }, { now: 1, random: 0, maxAttempts: 1, maxHoldMs: 0 })
    await write(done)
    const read = await found()
    expect(read).not.toBe(done)
    expect(read?.deliveries[0]).toMatchObject({ state: 'done', settledAt: 1 })
  })

  test('says the same as when it is read', async () => {
    const kept = await found()
    const read = await store.record(running.id)
    expect(read).not.toBe(kept)
    expect(read).toEqual(kept)
  })

  test('of another process is read each time', async () => {
    const [delivery] = running.deliveries
    if (delivery === undefined) throw new Error('nothing runs')
    const elsewhere = withDelivery(running, 'success', { ...delivery, owner: 'another' })
    await write(elsewhere)
    expect(await found()).not.toBe(elsewhere)
  })

  test('is read again after another connection has written', async () => {
    const other = openFile(folder.file('inbox.db'))
    other.exec(more)
    other.close()
    expect(await foundAttempts()).toBe(attempts)
  })

  test('is read again after this connection was used to write', async () => {
    db.exec(more)
    expect(await foundAttempts()).toBe(attempts)
  })

  test('is read again after an effect has written', async () => {
    await write(running, () => {
      db.exec(more)
    })
    expect(await foundAttempts()).toBe(attempts)
  })

  test('is read again by the changes of the same transaction that come after an effect', async () => {
    const other = recordOf([callbackOf('success', { orderID: 'another' }), { success: 'waiting' }])
    const effect = (): void => {
      db.exec(more)
    }
    const [, attemptsFound] = await Promise.all([
      store.change({ claim: other.id, apply: () => ({ record: other, result: undefined }), effect }),
      foundAttempts(),
    ])
    expect(attemptsFound).toBe(attempts)
  })

  test('is as it was before a change that was rolled back', async () => {
    const [delivery] = running.deliveries
    if (delivery === undefined) throw new Error('nothing runs')
    const changed = withDelivery(running, 'success', { ...delivery, attempts })
    const failing = write(changed, () => {
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await foundAttempts()).toBe(1)
    const unwritable = withDelivery(changed, 'success', { ...delivery, attempts, state: null as never })
    await expect(write(unwritable)).rejects.toThrow()
    expect(await foundAttempts()).toBe(1)
  })

  test('is read again after a jump of the clock, since times of retries are read by it', async () => {
    wall += 3_600_000
    expect(await found()).not.toBe(running)
  })
})
