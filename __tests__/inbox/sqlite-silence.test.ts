import { setTimeout as wait } from 'node:timers/promises'
import { claim } from '../../lib/inbox/delivery.js'
import type { Clocks } from '../../lib/inbox/stores/sqlite-clock.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { conversionWebhook, type Conversion, type ConversionContext } from '../../lib/index.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { atRest, eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { callbackOf, recordOf } from '../support/ledger.js'
import { deferred } from '../support/recorder.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* Processes on one SQLite file that were stopped for a while, and which of their attempts other processes take over. */

const describeSqlite = hasSqlite ? describe : describe.skip
const looksMs = 500 // several looks of every process

describeSqlite('a process that was stopped', () => {
  const folder = temporaryFolder()
  let closing: (() => unknown)[] = []
  afterEach(async () => {
    jest.restoreAllMocks()
    for (const close of closing.reverse()) await close()
    closing = []
    folder.remove()
  })

  function start(onSuccess: (conversion: unknown, context: ConversionContext) => unknown) {
    const inbox = sqliteInbox(folder.file('inbox.db'))
    const attempts: number[] = []
    const handlers = {
      onError: () => undefined,
      onSuccess: (conversion: unknown, context: ConversionContext) => {
        attempts.push(context.attempt)
        return onSuccess(conversion, context)
      },
    }
    const webhook = conversionWebhook(handlers as object, { secret: false, inbox })
    closing.push(() => webhook.close())
    const report = (orderID: string) => webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))
    return { inbox, report, attempts }
  }

  function write(sql: string): void {
    const db = openFile(folder.file('inbox.db'))
    db.exec(sql)
    db.close()
  }

  const workers = (): Promise<number> => {
    const db = openFile(folder.file('inbox.db'))
    const row = db.prepare('SELECT count(*) AS count FROM conversion_webhook_workers').get()
    db.close()
    return Promise.resolve(Number(row?.count))
  }

  test('does not take others for gone when it goes on', async () => {
    const gate = deferred()
    const first = start(() => gate.promise)
    await first.report('A')
    const second = start(() => undefined)
    await eventually(workers, (count) => count === 2)
    await wait(looksMs) // each has seen the other
    const now = performance.now.bind(performance)
    jest.spyOn(performance, 'now').mockImplementation(() => now() + 60_000)
    await wait(looksMs)
    expect([first.attempts, second.attempts]).toEqual([[1], []])
    gate.resolve()
    await settled(first.inbox)
    expect(first.attempts).toEqual([1])
  }, 30_000)

  test('and whose row others have removed writes it again when it claims a delivery', async () => {
    const gate = deferred()
    const { report, attempts, inbox } = start((conversion) =>
      (conversion as Conversion).orderId === 'A' ? gate.promise : undefined,
    )
    await report('warm')
    await settled(inbox)
    write('DELETE FROM conversion_webhook_workers') // as every process does with one that is silent for long
    await report('A')
    await wait(looksMs)
    expect(attempts).toEqual([1, 1])
    gate.resolve()
    await settled(inbox)
    expect(attempts).toEqual([1, 1])
  })

  test('does not settle its later attempt with the verdict on an attempt that it has lost', async () => {
    const gates = [deferred(), deferred()] as const
    const { report, attempts, inbox } = start((_conversion, { attempt }) => gates[attempt - 1]?.promise)
    const { id } = await report('A')
    await eventually(
      () => Promise.resolve(attempts.length),
      (count) => count === 1,
    )
    // The state after another process has taken the delivery over and its attempt failed.
    write("UPDATE conversion_webhook_deliveries SET state = 'waiting', owner = NULL, due_at = 0")
    await eventually(
      () => Promise.resolve(attempts.length),
      (count) => count === 2,
    )
    gates[0].reject(new Error('the attempt that was lost'))
    await wait(looksMs)
    expect(await inbox.get(`${id}:success`)).toMatchObject({ state: 'running', attempts: 2 })
    gates[1].resolve()
    await atRest(inbox)
    expect(await inbox.get(`${id}:success`)).toMatchObject({ state: 'done', attempts: 2 })
    expect(attempts).toEqual([1, 2])
  })

  test('takes nothing over because of beats that it saw before, nor from a process that beats again', async () => {
    let elapsed = 0
    const open = (clocks?: Clocks) => {
      const store = new SqliteStore(openSqlite(folder.file('inbox.db')), clocks)
      closing.push(() => store.close())
      return store
    }
    const looking = open({ wall: () => Date.now(), elapsed: () => elapsed })
    const other = open()
    const recorded = recordOf([callbackOf('success'), { success: 'waiting' }])
    const claimer = { handlers: { has: () => true }, hasConfirm: false, owner: other.owner, now: 0, holders: new Map() }
    const { record } = claim(recorded, 'success', claimer)
    await other.change({ claim: record.id, apply: () => ({ record, result: undefined }) })
    const takesOver = async () => (await looking.candidates(10, new Set())).length > 0
    const look = async (times: number) => {
      for (let time = 0; time < times; time++) {
        elapsed += 5_000
        await looking.beat()
      }
    }
    await look(4)
    expect(await takesOver()).toBe(false) // 15 s after it was first seen
    await look(1)
    expect(await takesOver()).toBe(true)
    elapsed += 10_001
    expect(await takesOver()).toBe(false)
    await look(5)
    expect(await takesOver()).toBe(true)
    await other.beat()
    expect(await takesOver()).toBe(false)
  })
})
