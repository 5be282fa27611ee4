import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { conversionWebhook, type ConversionHandlers } from '../../lib/index.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* An open inbox whose file is rewritten by erase, moved, deleted or replaced. */

const describeSqlite = hasSqlite ? describe : describe.skip

let folder: ReturnType<typeof temporaryFolder>
let closing: (() => unknown)[]
beforeEach(() => {
  folder = temporaryFolder()
  closing = []
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
  folder.remove()
})

const file = (end = '') => folder.file(`inbox.db${end}`)

function start(observers: Pick<ConversionHandlers, 'onError'> = {}) {
  const inbox = sqliteInbox(file())
  const handlers = { onSuccess: () => undefined, onError: () => undefined, ...observers }
  const webhook = conversionWebhook(handlers, { secret: false, inbox })
  closing.push(() => webhook.close())
  const report = (orderID: string, changes = {}) =>
    webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0', ...changes }))
  return { inbox, webhook, report }
}

function connect() {
  const db = openFile(file())
  closing.push(() => {
    if (db.isOpen) db.close()
  })
  return db
}

/** A connection that sees the file as it is now until it is told to end. */
function readFrom() {
  const reader = connect()
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM conversion_webhook_claims').get()
  return {
    end: () => {
      reader.exec('COMMIT')
    },
  }
}

const person = { email: 'example@gmail.com' }

describeSqlite('erase', () => {
  test('lets callbacks be recorded and read while it rewrites the file', async () => {
    const { inbox, report } = start()
    await report('A')
    await settled(inbox)
    const app = connect()
    app.exec('CREATE TABLE blobs (blob)')
    for (let count = 0; count < 10; count++) app.exec('INSERT INTO blobs VALUES (randomblob(10000000))')
    let isOver: boolean | undefined
    const erased = inbox.erase(person).finally(() => (isOver = true))
    const answers: Promise<{ outcome: string }>[] = []
    let reads = 0
    for (; isOver !== true; reads++) {
      answers.push(report(`during ${String(reads)}`))
      await inbox.stats()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(await erased).toMatchObject({ erased: 1 })
    expect(reads).toBeGreaterThan(10)
    const outcomes = await Promise.all(answers)
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']))
  })

  test('in another process makes a callback wait for its lock longer than for any other lock', async () => {
    const { report } = start()
    const other = connect()
    other.exec("INSERT INTO conversion_webhook_workers VALUES ('rewriting:other', 1); BEGIN IMMEDIATE")
    setTimeout(() => {
      other.exec('COMMIT')
    }, 6_000)
    expect(await report('A')).toMatchObject({ outcome: 'accepted' })
  })

  test('waits for another connection that reads', async () => {
    const { inbox, report } = start()
    await report('A')
    await settled(inbox)
    const reader = readFrom()
    const erased = inbox.erase(person)
    setTimeout(reader.end, 1_000)
    expect(await erased).toMatchObject({ erased: 1 })
    await inbox.list()
  })
})

describeSqlite('the file of an inbox that is open', () => {
  const elsewhere = () => folder.file('elsewhere.db')
  const moves: readonly (readonly [string, () => void])[] = [
    ['moved', () => renameSync(file(), elsewhere())],
    ['deleted', () => rmSync(file())],
    [
      'replaced by a copy',
      () => {
        copyFileSync(file(), elsewhere())
        renameSync(elsewhere(), file())
      },
    ],
    ['deleted with its log', () => ['', '-wal', '-shm'].forEach((end) => rmSync(file(end)))],
    ['left without its log', () => rmSync(file('-wal'))],
    [
      'replaced by another inbox',
      () => {
        for (const end of ['', '-wal', '-shm']) rmSync(file(end))
        const other = sqliteInbox(file())
        closing.unshift(() => other.close())
      },
    ],
  ]

  test.each(moves)(
    'and is %s makes the inbox refuse callbacks with a code until the next start',
    async (_what, move) => {
      const errors: unknown[] = []
      const { inbox, report, webhook } = start({ onError: ({ stage, error }) => errors.push({ stage, error }) })
      await report('before')
      await settled(inbox)
      move()
      const moved = { code: 'ERR_CONVERSION_INBOX_MOVED' }
      await expect(report('after')).rejects.toMatchObject({ ...moved, status: 503, headers: { 'Retry-After': '60' } })
      await expect(webhook.accept('conversion=nonsense')).rejects.toMatchObject(moved)
      for (const ask of [
        () => inbox.list(),
        () => inbox.stats(),
        () => inbox.prune({ olderThanDays: 1 }),
        () => inbox.erase(person),
      ]) {
        await expect(ask()).rejects.toMatchObject(moved)
      }
      expect(errors[0]).toMatchObject({ stage: 'inbox', error: moved })
      writeFileSync(folder.file('note'), '')
      if (!existsSync(file()) && existsSync(elsewhere())) renameSync(elsewhere(), file())
      await expect(report('when it is back')).rejects.toMatchObject(moved)
      await webhook.close()
      const next = start()
      expect(await next.report('next')).toMatchObject({ outcome: 'accepted' })
    },
  )

  test('is left unchanged when a process closes that had opened an earlier file of this name', async () => {
    const lost = start()
    await lost.report('lost')
    await settled(lost.inbox)
    for (const end of ['', '-wal', '-shm']) renameSync(file(end), `${elsewhere()}${end}`)
    const next = start()
    expect(await next.report('next')).toMatchObject({ outcome: 'accepted' })
    await settled(next.inbox)
    await lost.webhook.close()
    expect(existsSync(file('-wal'))).toBe(true)
    expect(connect().prepare('SELECT order_id FROM conversion_webhook_deliveries').all()).toEqual([
      { order_id: 'next' },
    ])
  })
})
