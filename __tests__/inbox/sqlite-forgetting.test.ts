import { eraser, pruner } from '../../lib/inbox/operators/prune-and-erase.js'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { eventually } from '../contract/inboxes.js'
import { testHost } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* prune and erase of a SQLite file, while callbacks arrive. */

const describeSqlite = hasSqlite ? describe : describe.skip
const conversions = 2_000
const old = { olderThanDays: 30 }

describeSqlite('a file of many conversions', () => {
  const folder = temporaryFolder()
  const file = () => folder.file('inbox.db')
  let store: SqliteStore
  let inbox: DurableInbox<unknown, unknown>
  let number: number

  const accept = () => inbox.accept(callbackOf('success', { orderID: `order ${String(number++)}`, goal_complete: '0' }))

  beforeEach(async () => {
    store = new SqliteStore(openSqlite(file()))
    inbox = new DurableInbox(store)
    inbox.attach(testHost({ handlers: { has: () => false } }).host) // a process without handlers only records
    number = 0
    await Promise.all(Array.from({ length: conversions }, accept))
  })
  afterEach(async () => {
    await inbox.close()
    folder.remove()
  })

  function write(sql: string): void {
    const db = openFile(file())
    db.exec(`PRAGMA busy_timeout = 5000; ${sql}`)
    db.close()
  }

  const settle = (daysAgo: number) => {
    const at = Date.now() - daysAgo * 86_400_000
    write(`UPDATE conversion_webhook_deliveries SET state = 'done', owner = NULL, settled_at = ${String(at)},
      received_at = ${String(at)}, callback = json_set(callback, '$.at', ${String(at)})`)
  }

  /** How many callbacks are answered, one after another, until `work` has ended. */
  async function answeredDuring(work: Promise<unknown>): Promise<number> {
    let answered = 0
    let isOver: boolean | undefined
    const over = work.finally(() => (isOver = true))
    for (; isOver !== true; answered++) await accept()
    await over
    return answered
  }

  test.each([
    ['prunes', () => pruner(store)(old)],
    ['looks for what it could erase', () => eraser(store)({ email: 'nobody@shop.example' })],
    ['erases', () => eraser(store)({ email: 'example@gmail.com' })],
  ])('answers callbacks while it %s', async (_what, work) => {
    settle(31)
    expect(await answeredDuring(work())).toBeGreaterThan(5)
  })

  test('answers callbacks while prune reads old conversions, none of which is to be pruned', async () => {
    settle(31)
    write(`UPDATE conversion_webhook_deliveries SET callback = json_set(callback, '$.at', ${String(Date.now())})`)
    expect(await answeredDuring(pruner(store)(old))).toBeGreaterThan(3)
  })

  test('prunes old conversions once', async () => {
    settle(31)
    expect(await inbox.prune(old)).toEqual({ pruned: conversions })
    expect(await inbox.prune(old)).toEqual({ pruned: 0 })
  })

  test('lists many rows in portions', async () => {
    const asked = jest.spyOn(store, 'holders')
    expect(await inbox.list({ limit: 1_000 })).toHaveLength(1_000)
    expect(asked.mock.calls.length).toBeGreaterThan(3)
  })

  const makeUnreadable = () => {
    write("UPDATE conversion_webhook_deliveries SET callback = 'nothing that JSON.parse takes' || callback")
  }

  test('does not read conversions that were pruned or still wait', async () => {
    settle(31)
    await inbox.prune(old)
    await accept()
    makeUnreadable()
    expect(await inbox.prune(old)).toEqual({ pruned: 0 })
  })

  test('does not read conversions that are too young to be pruned', async () => {
    settle(29)
    makeUnreadable()
    expect(await inbox.prune(old)).toEqual({ pruned: 0 })
  })

  test('prunes all deliveries of a conversion together, and none while one of them is too young', async () => {
    settle(31)
    write(`DELETE FROM conversion_webhook_deliveries WHERE claim > 3`)
    write(`INSERT INTO conversion_webhook_deliveries
      SELECT NULL, claim, 'goalComplete', 2, state, attempts, holds, held_since, first_date, held_until, due_at, started_at, owner,
        received_at, settled_at + (claim = 2) * 86400000 * 3, is_unheard, takes, taken_by, previous, log, is_emptied,
        scope, order_id, referrer_email, referee_email, callback
      FROM conversion_webhook_deliveries WHERE claim < 4`)
    expect(await inbox.prune(old)).toEqual({ pruned: 2 })
    const left = (await inbox.list({ limit: 1_000 })).filter(({ params }) => params.orderID !== undefined)
    expect(left.map(({ event, params }) => [event, params.orderID]).sort()).toEqual([
      ['goalComplete', 'order 1'],
      ['success', 'order 1'],
    ])
    await eventually(
      () => inbox.prune({ olderThanDays: 28 }),
      ({ pruned }) => pruned === 1,
    )
  })
})
