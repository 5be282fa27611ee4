import { readFileSync } from 'node:fs'
import { conversionWebhook, type Conversion, type ConversionWebhookOptions } from '../../lib/index.js'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { durableBudget, type Size } from '../../lib/inbox/quarantine.js'
import { machineClocks } from '../../lib/inbox/stores/sqlite-clock.js'
import { SqliteLog } from '../../lib/inbox/stores/sqlite-log.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* erase rewrites a SQLite file if anything was removed since the last rewrite, by any operation. */

const describeSqlite = hasSqlite ? describe : describe.skip
const ann = 'ann@shop.example'

type Changes = Readonly<Record<string, string>>

describeSqlite('erase', () => {
  const folder = temporaryFolder()
  const file = (end = '') => folder.file(`inbox.db${end}`)
  let closing: (() => unknown)[]
  beforeEach(() => {
    closing = []
  })
  afterEach(async () => {
    for (const close of closing.reverse()) await close()
    folder.remove()
  })

  function start({
    handle = () => undefined,
    budget = durableBudget,
    ...options
  }: ConversionWebhookOptions & { handle?: (conversion: Conversion) => unknown; budget?: Size } = {}) {
    const inbox = new DurableInbox(new SqliteStore(openSqlite(file()), machineClocks, budget))
    const handlers = { onSuccess: handle, onFail: handle, onError: () => undefined, onDead: () => undefined }
    const webhook = conversionWebhook(handlers, { secret: false, ...options, inbox })
    closing.push(() => webhook.close())
    const report = (orderID: string, changes: Changes = {}) =>
      webhook.accept(params({ goal_complete: '0', orderID, ...changes }))
    return { inbox, report }
  }

  /** How often the file was rewritten: only VACUUM adds one to this number here. */
  function rewrites(): number {
    const db = openFile(file())
    const version = Number(db.prepare('PRAGMA schema_version').get()?.schema_version)
    db.close()
    return version
  }

  const contents = () => ['', '-wal'].map((end) => readFileSync(file(end)).toString('latin1')).join('')

  test('does not rewrite the file if nothing was removed since the last time', async () => {
    const { inbox, report } = start()
    await report('A', { referrer_email: ann })
    await settled(inbox)
    const before = rewrites()
    expect(await inbox.erase({ email: 'nobody@shop.example' })).toEqual({ erased: 0, waiting: [] })
    expect(rewrites()).toBe(before)
    expect(await inbox.erase({ email: ann })).toEqual({ erased: 1, waiting: [] })
    expect(rewrites()).toBe(before + 1)
    await report('B')
    await settled(inbox)
    expect(await inbox.erase({ email: ann })).toEqual({ erased: 0, waiting: [] })
    expect(rewrites()).toBe(before + 1)
  })

  test('finishes the rewrite that an earlier erase could not finish', async () => {
    const { inbox, report } = start()
    await report('A', { referrer_email: ann })
    await settled(inbox)
    const before = rewrites()
    const rewriting = jest.spyOn(SqliteLog.prototype, 'cut').mockRejectedValueOnce(new Error('the disk is full'))
    await expect(inbox.erase({ email: ann })).rejects.toMatchObject({ code: 'ERR_CONVERSION_ERASE_INCOMPLETE' })
    rewriting.mockRestore()
    expect(rewrites()).toBe(before)
    expect(await inbox.erase({ email: ann })).toEqual({ erased: 0, waiting: [] })
    expect(rewrites()).toBe(before + 1)
    expect(contents()).not.toContain(ann)
  })

  test('of one process rewrites the file again for rows that another process removed meanwhile', async () => {
    const [one, other] = [start(), start()]
    for (const [order, referrer_email] of Object.entries({ A: ann, B: 'bob@shop.example' })) {
      await one.report(order, { referrer_email })
    }
    await settled(one.inbox)
    const before = rewrites()
    const both = [one.inbox.erase({ email: ann }), other.inbox.erase({ email: 'bob@shop.example' })]
    expect((await Promise.all(both)).map(({ erased }) => erased)).toEqual([1, 1])
    await one.report('C', { referrer_email: 'cid@shop.example' })
    await settled(one.inbox)
    const between = rewrites()
    expect(between).toBeGreaterThan(before)
    await one.inbox.erase({ email: 'cid@shop.example' })
    expect(rewrites()).toBe(between + 1)
  })

  /** Every operation other than erase that removes strings from outside. Only the removed ones mention Ann. */
  const removers: Readonly<Record<string, () => Promise<DurableInbox<unknown, unknown>>>> = {
    async prune() {
      const { inbox, report } = start()
      for (let order = 0; order < 100; order++) await report(`order ${String(order)}`, { referrer_name: ann })
      await settled(inbox)
      await new Promise((resolve) => setTimeout(resolve, 2))
      await inbox.prune({ olderThanDays: 0 })
      return inbox
    },
    async 'the limit of the quarantine'() {
      const { inbox, report } = start({ budget: { rows: 4, bytes: 1_048_576 } })
      for (let order = 0; order < 100; order++) {
        await report(`order ${String(order)}`, {
          purchaseValue: '0x10',
          referrer_name: order < 50 ? ann : 'Bob',
        }).catch(() => undefined)
      }
      return inbox
    },
    async 'a later success that brings a withdrawn one back'() {
      let isHeld = true
      const { inbox, report } = start({ confirm: () => (isHeld ? 'hold' : true) })
      await report('A', { conversion: 'success', referrer_name: ann })
      await report('A', { conversion: 'fail', referrer_name: 'Bob' })
      await settled(inbox)
      isHeld = false
      await report('A', { conversion: 'success', referrer_name: 'Bob' })
      await settled(inbox)
      return inbox
    },
    async 'an error that later ones push out of the log'() {
      let failures = 0
      const handle = () => {
        throw new Error(failures++ === 0 ? ann : `failure ${String(failures)}`)
      }
      const { inbox, report } = start({ handle, maxAttempts: 1 })
      await report('A')
      for (let replays = 0; replays < 6; replays++) {
        const [row] = await eventually(
          () => inbox.list({ state: 'dead' }),
          ({ length }) => length === 1,
        )
        if (replays < 5) await inbox.replay(row?.id ?? '')
        else expect(failures).toBe(6)
        await eventually(
          () => inbox.stats(),
          ({ deliveries }) => deliveries.dead === 1 && failures > replays,
        )
      }
      return inbox
    },
  }

  test.each(Object.entries(removers))(
    'leaves no byte of a string that was removed before by %s',
    async (_what, remove) => {
      const inbox = await remove()
      expect((await inbox.list({ limit: 1_000 })).some((row) => JSON.stringify(row).includes(ann))).toBe(false)
      const before = rewrites()
      expect(await inbox.erase({ email: ann })).toEqual({ erased: 0, waiting: [] })
      expect(rewrites()).toBe(before + 1)
      expect(contents()).not.toContain(ann)
    },
  )
})
