import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { inspect } from 'node:util'
import { conversionWebhook, type ConversionContext, type ConversionHandlers } from '../../lib/index.js'
import { makePrivately } from '../../lib/inbox/stores/sqlite-file.js'
import { sqliteInbox, type SqliteCommit } from '../../lib/sqlite.js'
import { atRest, eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { done, late, testHost } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'
import { deferred } from '../support/recorder.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* What only SQLite has: opening the file, a file that fails, and the bytes that erase leaves in the file. */

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

function open(name = 'inbox.db') {
  const inbox = sqliteInbox(folder.file(name))
  closing.push(() => inbox.close())
  return inbox
}

function connect(name = 'inbox.db'): DatabaseSync {
  const db = openFile(folder.file(name))
  closing.push(() => {
    if (db.isOpen) db.close()
  })
  return db
}

type Handler = (conversion: unknown, context: ConversionContext<SqliteCommit>) => unknown

function start(onSuccess?: Handler, more: ConversionHandlers = {}, options: object = {}) {
  const inbox = open()
  const handlers = { onError: () => undefined, ...(onSuccess && { onSuccess }), ...more }
  const webhook = conversionWebhook<string, SqliteCommit>(handlers as object, { secret: false, inbox, ...options })
  closing.push(() => webhook.close())
  const report = (orderID: string, changes = {}) =>
    webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0', ...changes }))
  return { inbox, webhook, report }
}

const codeOf = (run: () => unknown): unknown => {
  try {
    run()
    return undefined
  } catch (error) {
    return (error as { code: string }).code
  }
}

describeSqlite('opening', () => {
  test.each([undefined, '', 7])('refuses %p as a path', (file) => {
    expect(codeOf(() => sqliteInbox(file as string))).toBe('ERR_CONVERSION_OPTION_INVALID')
  })

  test('throws an error that says why a file cannot be used', () => {
    writeFileSync(folder.file('text.db'), 'This is no database. '.repeat(100))
    expect(codeOf(() => open('text.db'))).toBe('ERR_CONVERSION_INBOX_CORRUPT')
    expect(codeOf(() => open('missing/inbox.db'))).toBe('ERR_CONVERSION_INBOX_UNAVAILABLE')
    expect(() => sqliteInbox(':memory:')).toThrow('a database in memory is lost with the process')
  })

  test('refuses the tables of a later version, and does not change them', async () => {
    await open().close()
    const db = connect()
    db.exec('UPDATE conversion_webhook_schema SET version = 99')
    expect(() => open()).toThrow('has tables of version 99')
    expect(codeOf(() => open())).toBe('ERR_CONVERSION_INBOX_NEWER')
  })

  test('counts by the day of the callback', async () => {
    const { inbox } = start()
    const dayMs = 86_400_000
    for (const days of [1, 1, 2, 3]) {
      const callback = { ...callbackOf('success'), receivedAt: Date.now() - days * dayMs }
      await inbox.accept({ ...callback, params: params({ orderID: String(Math.random()) }) })
    }
    const { perDay } = await inbox.stats({ days: 3 })
    expect(perDay?.map(({ success }) => success)).toEqual([1, 2, 0]) // the oldest is of an earlier day
  })

  test("works in the app's own database, keeps its user_version, and uses a write-ahead log", async () => {
    const db = connect('shop.db')
    db.exec('PRAGMA user_version = 7; CREATE TABLE orders (id TEXT)')
    const inbox = open('shop.db')
    expect(db.prepare('PRAGMA user_version').get()).toMatchObject({ user_version: 7 })
    expect(db.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' })
    await inbox.close()
    const again = open('shop.db')
    expect(await again.list()).toEqual([])
  })
})

const describeModes = hasSqlite && process.platform !== 'win32' ? describe : describe.skip

describeModes('the files', () => {
  const modeOf = (name: string) => statSync(folder.file(name)).mode & 0o777
  const modes = (name = 'inbox.db') => ['', '-wal', '-shm'].map((end) => modeOf(`${name}${end}`).toString(8))

  beforeEach(() => {
    const umask = process.umask(0)
    closing.push(() => process.umask(umask))
  })

  test('can be read by their owner only, from the start and after an erase', async () => {
    const { inbox, report } = start(() => undefined)
    expect(modes()).toEqual(['600', '600', '600'])
    await report('A')
    await settled(inbox)
    expect(await inbox.erase({ email: 'example@gmail.com' })).toMatchObject({ erased: 1 })
    expect(modes()).toEqual(['600', '600', '600'])
    await inbox.close()
    open()
    expect(modes()).toEqual(['600', '600', '600'])
  })

  test('are private before SQLite writes to them', () => {
    makePrivately(folder.file('inbox.db'))
    expect([modeOf('inbox.db'), statSync(folder.file('inbox.db')).size]).toEqual([0o600, 0])
  })

  test.each(['644', '640', '600'])('that exist already keep their mode: %s', (mode) => {
    writeFileSync(folder.file('inbox.db'), '', { mode: Number.parseInt(mode, 8) })
    open()
    expect(modes()).toEqual([mode, mode, mode])
  })

  test('behind symbolic links are created private, or keep their mode', () => {
    mkdirSync(folder.file('data'))
    symlinkSync('data', folder.file('folder'))
    symlinkSync('../made.db', folder.file('data/link.db'))
    symlinkSync('link.db', folder.file('data/link of a link.db'))
    symlinkSync('loop.db', folder.file('loop.db'))
    open('folder/link of a link.db')
    expect(modes('made.db')).toEqual(['600', '600', '600'])
    writeFileSync(folder.file('there.db'), '', { mode: 0o644 })
    symlinkSync('there.db', folder.file('link.db'))
    open('link.db')
    expect(modes('there.db')).toEqual(['644', '644', '644'])
    expect(codeOf(() => open('loop.db'))).toBe('ERR_CONVERSION_INBOX_UNAVAILABLE')
  })

  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const takesUris = major > 22 || minor >= 15
  const testUris = takesUris ? test : test.skip

  testUris('of URIs are made where SQLite makes them', () => {
    const uri = (name: string) => `file:${folder.file(name)}`
    for (const [name, made] of [
      ['plain.db', 'plain.db'],
      ['with%20blank.db?mode=rwc', 'with blank.db'],
      ['with fragment.db#mode=rw', 'with fragment.db'],
      ['100%.db?cache=private', '100%.db'],
    ] as const) {
      const inbox = sqliteInbox(uri(name))
      closing.push(() => inbox.close())
      expect([name, ...modes(made)]).toEqual([name, '600', '600', '600'])
    }
    const inbox = sqliteInbox(`file://localhost${folder.file('host.db')}`)
    closing.push(() => inbox.close())
    expect(modes('host.db')).toEqual(['600', '600', '600'])
  })

  test('are not created if the inbox cannot be opened', () => {
    const before = folder.file('')
    for (const name of ['missing/inbox.db', 'a\0b']) {
      expect(codeOf(() => open(name))).toBe('ERR_CONVERSION_INBOX_UNAVAILABLE')
    }
    const ofUris = takesUris ? 'ERR_CONVERSION_INBOX_UNAVAILABLE' : 'ERR_CONVERSION_NODE_UNSUPPORTED'
    for (const query of ['mode=rw', 'mode=ro', 'mode=memory', 'cache=shared&mode=memory', ...(takesUris ? [] : [''])]) {
      expect(codeOf(() => sqliteInbox(`file:${folder.file('none.db')}?${query}`))).toBe(ofUris)
    }
    expect(codeOf(() => sqliteInbox(':memory:'))).toBe('ERR_CONVERSION_INBOX_UNAVAILABLE')
    for (const name of ['file::memory:', `file://other${folder.file('none.db')}`]) {
      expect(codeOf(() => sqliteInbox(name))).toBe(ofUris)
      expect(existsSync(':memory:')).toBe(false)
    }
    expect(readdirSync(before)).toEqual([])
  })
})

describeSqlite('a file that cannot be written', () => {
  test('because it is locked for a while only delays the answer', async () => {
    const { report } = start()
    const other = connect()
    other.exec('BEGIN IMMEDIATE')
    const answer = report('A')
    await new Promise((resolve) => setTimeout(resolve, 100))
    other.exec('COMMIT')
    expect(await answer).toMatchObject({ outcome: 'accepted' })
  })

  test('because it is locked while a process starts only delays the start', async () => {
    const told: unknown[] = []
    const inbox = open()
    const other = connect()
    other.exec('BEGIN IMMEDIATE')
    const webhook = conversionWebhook(
      { onSuccess: (conversion) => void told.push(conversion) },
      { secret: false, inbox },
    )
    closing.push(() => webhook.close())
    const answer = webhook.accept(params({ goal_complete: '0' }))
    await new Promise((resolve) => setTimeout(resolve, 100))
    other.exec('COMMIT')
    expect(await answer).toMatchObject({ outcome: 'accepted' })
    await settled(inbox)
    expect(told).toHaveLength(1)
  })

  test('because it stays locked is a 503; the next callback is recorded', async () => {
    const errors: unknown[] = []
    const { report, inbox } = start(undefined, { onError: (failure) => errors.push(failure) })
    const other = connect()
    other.exec('BEGIN IMMEDIATE')
    await expect(report('A')).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_UNAVAILABLE', status: 503 })
    expect(errors).toMatchObject([{ stage: 'inbox', error: { errstr: 'database is locked' } }])
    other.exec('ROLLBACK')
    expect(await report('A')).toMatchObject({ outcome: 'accepted' })
    expect((await inbox.stats()).callbacks.accepted).toBe(1)
  })

  test('on a full disk is a 503 without a delivery; with room again callbacks are recorded', async () => {
    const told: string[] = []
    const errors: unknown[] = []
    const limit = { pages: 0 }
    const { report, inbox } = start(
      async (conversion, { commit }) => {
        const { orderId } = conversion as { orderId: string }
        told.push(orderId)
        if (!orderId.startsWith('limit')) return
        await commit((db) => {
          const { page_count: used } = db.prepare('PRAGMA page_count').get() as { page_count: number }
          db.exec(`PRAGMA max_page_count = ${String(limit.pages || used + 2)}`)
        })
      },
      { onError: ({ error }) => errors.push(error) },
    )
    await report('limit')
    await settled(inbox)
    const results = []
    for (let order = 0; order < 40; order++) {
      const changes = { referrer_customValue: 'x'.repeat(2_000) }
      results.push(await report(`order ${String(order)}`, changes).catch((error: unknown) => error))
    }
    const refused = results.filter((result) => result instanceof Error)
    expect(refused.length).toBeGreaterThan(0)
    for (const error of refused) {
      expect(error).toMatchObject({
        code: 'ERR_CONVERSION_INBOX_UNAVAILABLE',
        status: 503,
        headers: { 'Retry-After': '60' },
      })
    }
    // The limit belongs to this connection, so it must leave room for settling the deliveries that were accepted.
    const inserted = (await inbox.stats()).callbacks.accepted - 1
    expect(inserted).toBe(40 - refused.length)
    expect(new Set(told.filter((order) => order !== 'limit')).size).toBeLessThanOrEqual(inserted)
    expect(errors.length).toBeGreaterThan(0)
  })
})

describeSqlite('a connection that may not write', () => {
  test('is a 503, and nothing is delivered', async () => {
    const told: unknown[] = []
    const { report } = start(async (conversion, { commit }) => {
      told.push(conversion)
      await commit((db) => {
        db.exec('PRAGMA query_only = ON')
      }).catch(() => undefined)
    })
    await report('A')
    await eventually(
      () =>
        report('B').then(
          () => 'accepted',
          (error: unknown) => (error as { code: string }).code,
        ),
      (result) => result === 'ERR_CONVERSION_INBOX_UNAVAILABLE',
    )
    expect(told.length).toBeLessThanOrEqual(2)
  })
})

describeSqlite('what a process left running', () => {
  async function leaveRunning() {
    const { report, webhook } = start()
    const { id } = await report('A')
    await webhook.close()
    const db = connect()
    db.exec("UPDATE conversion_webhook_deliveries SET state = 'running', owner = 'gone', attempts = 1")
    return id
  }

  test('is taken over, and has an entry lapsed in its history', async () => {
    const id = await leaveRunning()
    const attempts: number[] = []
    const { inbox } = start((_conversion, { attempt }) => attempts.push(attempt))
    await atRest(inbox)
    expect(attempts).toEqual([2])
    expect((await inbox.get(`${id}:success`))?.history.map(({ what, code }) => [what, code])).toEqual([
      ['recorded', undefined],
      ['lapsed', 'ERR_CONVERSION_ATTEMPT_LAPSED'],
      ['done', undefined],
    ])
  })

  test('is dead when that was its last attempt', async () => {
    const id = await leaveRunning()
    const dead = deferred<unknown>()
    const { inbox } = start(() => undefined, { onDead: (what) => dead.resolve(what) }, { maxAttempts: 1 })
    expect(await dead.promise).toMatchObject({
      id: `${id}:success`,
      attempts: 1,
      error: { code: 'ERR_CONVERSION_ATTEMPT_LAPSED' },
    })
    expect((await inbox.stats()).deliveries).toMatchObject({ dead: 1 })
  })
})

describeSqlite('commit', () => {
  test.each([
    ['a promise', async (db: DatabaseSync) => Promise.resolve(db.exec("INSERT INTO effects VALUES ('x')"))],
    [
      'a statement that a library makes when it is awaited',
      (db: DatabaseSync) => ({
        then(resolve: (rows: unknown) => void) {
          db.exec("INSERT INTO effects VALUES ('x')")
          resolve([])
        },
      }),
    ],
    [
      'the end of the transaction',
      (db: DatabaseSync) => {
        db.exec('ROLLBACK')
      },
    ],
  ])('refuses %s, and rolls its effect back', async (_what, fn) => {
    const db = connect()
    db.exec('CREATE TABLE effects (key TEXT)')
    const codes: unknown[] = []
    const { inbox, report } = start(async (_conversion, { commit, attempt }) => {
      if (attempt === 1) await commit(fn as never).catch((error: unknown) => codes.push(error))
    })
    await report('A')
    await settled(inbox)
    expect(codes).toMatchObject([{ code: expect.stringMatching(/COMMIT_INVALID|UNAVAILABLE/) as string }])
    expect(db.prepare('SELECT count(*) AS n FROM effects').get()).toMatchObject({ n: 0 })
    expect(await report('B')).toMatchObject({ outcome: 'accepted' })
  })
})

describeSqlite('an effect that ends its transaction', () => {
  /** Delivers with an effect that inserts a row and then runs `fn`; resolves with what is recorded once nothing waits any more. */
  async function deliver(then: (db: DatabaseSync) => unknown, expected = 'dead', swallows = false) {
    const db = connect()
    db.exec('CREATE TABLE effects (attempt INTEGER)')
    const dead: unknown[] = []
    const attempts: number[] = []
    const { inbox, report } = start(
      async (_conversion, { commit, attempt }) => {
        attempts.push(attempt)
        const committed = commit((tx) => {
          tx.prepare('INSERT INTO effects VALUES (?)').run(attempt)
          if (attempt === 1) then(tx)
        })
        if (swallows) await committed.catch(() => undefined)
        else await committed
      },
      { onDead: (delivery) => dead.push(delivery) },
    )
    const { id } = await report('A')
    const entry = await eventually(
      () => inbox.get(`${id}:success`),
      (now) => now?.state === expected && (expected === 'done' || dead.length > 0),
    )
    const rows = db
      .prepare('SELECT attempt FROM effects')
      .all()
      .map((row) => row.attempt)
    return { id, rows, attempts, dead, entry }
  }

  test.each([
    ['COMMIT', false, [1]],
    ['COMMIT', true, [1]],
    ['COMMIT; BEGIN', false, [1]],
    ['ROLLBACK; BEGIN; INSERT INTO effects VALUES (7); COMMIT; BEGIN', false, [7]],
    ['COMMIT; SELECT nothing FROM nowhere', false, [1]],
  ] as const)('by "%s" is dead at once, and not repeated (swallowed: %j)', async (sql, swallows, expected) => {
    const { id, rows, attempts, dead, entry } = await deliver(
      (db) => {
        db.exec(sql)
      },
      'dead',
      swallows,
    )
    expect([rows, attempts]).toEqual([expected, [1]])
    expect(entry).toMatchObject({ state: 'dead', lastError: { code: 'ERR_CONVERSION_COMMIT_INVALID' } })
    expect(dead).toMatchObject([{ id: `${id}:success`, error: { code: 'ERR_CONVERSION_COMMIT_INVALID' } }])
  })

  test('and throws makes the delivery dead at once, with its error as the cause', async () => {
    const { rows, attempts, dead } = await deliver((db) => {
      db.exec('COMMIT')
      throw new Error('the mailer is down')
    })
    expect([rows, attempts]).toEqual([[1], [1]])
    expect(dead).toMatchObject([
      { error: { code: 'ERR_CONVERSION_COMMIT_INVALID', cause: { message: 'the mailer is down' } } },
    ])
  })

  test.each(['INSERT OR ROLLBACK INTO effects VALUES (1)', 'ROLLBACK', 'COMMIT'])(
    'by "%s" and goes on is dead at once, whatever SQLite says of what comes then',
    async (end) => {
      const { rows, attempts } = await deliver((db) => {
        db.exec('CREATE UNIQUE INDEX once ON effects (attempt)')
        try {
          db.exec(end)
        } catch {
          // these statements run outside of the transaction
        }
        db.exec('INSERT INTO effects VALUES (7)')
        db.exec('SELECT nothing FROM nowhere')
      })
      expect([rows.at(-1), attempts]).toEqual([7, [1]])
    },
  )

  test('is retried if SQLite itself rolled the transaction back', async () => {
    const { rows, attempts, entry } = await deliver((db) => {
      db.exec('CREATE UNIQUE INDEX once ON effects (attempt); INSERT OR ROLLBACK INTO effects VALUES (1)')
    }, 'done')
    expect([rows, attempts, entry?.state]).toEqual([[2], [1, 2], 'done'])
  })
})

test.each(['COMMIT', 'ROLLBACK'])(
  'an effect that ends the transaction by %s harms no other change of its group',
  async (end) => {
    if (!hasSqlite) return
    const codes: unknown[] = []
    const told: string[] = []
    const both = deferred()
    const { inbox, report } = start(async (conversion, { commit, attempt }) => {
      const { orderId } = conversion as { orderId: string }
      told.push(orderId)
      if (told.length === 2) both.resolve()
      await both.promise // so that the two commits share a group
      const fn = (db: DatabaseSync) => {
        if (orderId === 'bad' && attempt === 1) db.exec(end)
      }
      await commit(fn).catch((error: unknown) => codes.push((error as { code: string }).code))
    })
    const [good] = await Promise.all([report('good'), report('bad')])
    const late = await report('late')
    await settled(inbox)
    expect(codes).toContain('ERR_CONVERSION_COMMIT_INVALID')
    expect(await inbox.get(`${good.id}:success`)).toMatchObject({ state: 'done' })
    expect(await inbox.get(`${late.id}:success`)).toMatchObject({ state: 'done' })
  },
)

test('a process takes over a delivery that is recorded as running in this process and does not run here', async () => {
  if (!hasSqlite) return
  const attempts: number[] = []
  const { inbox, report } = start((_conversion, { attempt }) => attempts.push(attempt))
  const { id } = await report('A')
  await settled(inbox)
  const db = connect()
  const [worker] = db.prepare('SELECT id FROM conversion_webhook_workers').all()
  db.prepare("UPDATE conversion_webhook_deliveries SET state = 'running', owner = ?, settled_at = NULL").run(
    worker?.id ?? '',
  )
  await atRest(inbox)
  expect(attempts).toEqual([1, 2])
  expect((await inbox.get(`${id}:success`))?.history.map(({ what }) => what)).toContain('lapsed')
}, 30_000)

describeSqlite('rows that somebody has written by hand', () => {
  const operations: readonly (readonly [string, (inbox: ReturnType<typeof open>, id: string) => Promise<unknown>])[] = [
    ['get', (inbox, id) => inbox.get(`${id}:success`)],
    ['replay', (inbox, id) => inbox.replay(`${id}:success`)],
    ['prune', (inbox) => inbox.prune({ olderThanDays: 0 })],
    ['erase', (inbox) => inbox.erase({ email: 'jane@example.com' })],
  ]

  test.each(operations)(
    'make %s reject with a code, and without their content in the message',
    async (operator, operate) => {
      const state = operator === 'replay' ? 'dead' : 'done'
      for (const cell of [
        'null',
        '{"params":"jane@example.com',
        '{"params":null,"receivedAt":1,"jane@example.com":1}',
      ]) {
        const { report, webhook } = start()
        const { id } = await report(cell)
        await webhook.close()
        const db = connect()
        db.prepare('UPDATE conversion_webhook_deliveries SET callback = ?, state = ?, settled_at = 1').run(cell, state)
        db.close()
        const inbox = open()
        const error = await operate(inbox, id).catch((caught: unknown) => caught)
        expect(error).toMatchObject({ code: 'ERR_CONVERSION_INBOX_CORRUPT' })
        expect(String(error)).toContain('The column callback of deliveries')
        expect(inspect(error, { depth: null })).not.toContain('jane')
        await inbox.close()
        for (const end of ['', '-wal', '-shm']) rmSync(folder.file(`inbox.db${end}`), { force: true })
      }
    },
  )
})

describeSqlite('a claim whose row somebody has written by hand', () => {
  test.each([
    ['{"v":1,"params":{}}', 'ERR_CONVERSION_INBOX_CORRUPT'],
    ['{"v":2}', 'ERR_CONVERSION_INBOX_NEWER'],
  ])('takes no callback, and onError is told why: %s', async (cell, code) => {
    const told: object[] = []
    const { report } = start(undefined, { onError: (failure) => told.push(failure) })
    await report('A')
    connect().prepare('UPDATE conversion_webhook_deliveries SET callback = ?').run(cell)
    await expect(report('A')).rejects.toMatchObject({ code })
    expect(told).toContainEqual({ stage: 'inbox', error: expect.objectContaining({ code }) as unknown })
    expect(await report('B')).toMatchObject({ outcome: 'accepted' })
  })
})

describeSqlite('rows that cannot be read', () => {
  test('keep no delivery behind them waiting, and each is reported once', async () => {
    const silent = start()
    for (const order of ['1', '2', '3', '4', '5']) await silent.report(order)
    await silent.webhook.close()
    const db = connect()
    db.exec(`UPDATE conversion_webhook_deliveries SET due_at = 0, callback = 'damaged' WHERE number <= 4`)
    db.exec(`UPDATE conversion_webhook_deliveries SET due_at = 1 WHERE number = 5`)
    const told: unknown[] = []
    const paid = deferred<string | undefined>()
    const { report } = start(
      (conversion) => paid.resolve((conversion as { orderId?: string }).orderId),
      {
        onError: ({ error }) => told.push((error as { code?: string }).code),
      },
      { concurrency: 2 },
    )
    expect(await paid.promise).toBe('5')
    expect(await report('6')).toMatchObject({ outcome: 'accepted' })
    await eventually(
      () => Promise.resolve(told.length),
      (count) => count >= 4,
    )
    expect(told).toEqual(Array(4).fill('ERR_CONVERSION_INBOX_CORRUPT'))
  })

  test('a repeated conflict whose row is damaged fails alone', async () => {
    const { report } = start()
    await report('A', { purchaseValue: '1' })
    await report('A', { purchaseValue: '2' }).catch(() => undefined)
    connect().exec(`UPDATE conversion_webhook_quarantine SET body = 'damaged'`)
    const [again, other] = await Promise.allSettled([report('A', { purchaseValue: '2' }), report('B')])
    expect(again).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CONVERSION_INBOX_CORRUPT' } })
    expect(other).toMatchObject({ status: 'fulfilled', value: { outcome: 'accepted' } })
  })
})

describeSqlite('erase', () => {
  const files = () => ['', '-wal'].map((end) => readFileSync(folder.file(`inbox.db${end}`)).toString('latin1'))
  /** How often the bytes of the file and its log hold a text. */
  const count = (text: string) => files().reduce((sum, bytes) => sum + bytes.split(text).length - 1, 0)

  test('leaves the address nowhere in the bytes of the file and its log', async () => {
    const anna = 'anna.of.the.tests@shop.example'
    const { inbox, report, webhook } = start(
      (conversion) => {
        if ((conversion as { orderId?: string }).orderId === 'dead') throw new Error(`no account of ${anna}`)
      },
      {},
      { maxAttempts: 1 },
    )
    for (let order = 0; order < 400; order++) {
      const referrer = order % 3 === 0 ? { referrer_email: anna, referrer_customValue: 'x'.repeat(order) } : {}
      await report(`order ${String(order)}`, referrer)
    }
    await report(anna)
    await report('dead', { referrer_email: anna })
    await report('order 0', { referrer_email: anna, purchaseValue: '7' })
    await webhook.accept(`conversion=nonsense&referee_email=${anna}`)
    await settled(inbox)
    expect(count(anna)).toBeGreaterThan(138)
    expect(await inbox.erase({ email: anna })).toEqual({ erased: 138, waiting: [] })
    expect(count(anna)).toBe(0)
    expect(count('example@gmail.com')).toBeGreaterThan(0)
  })

  test('waits for another process that writes', async () => {
    const { inbox, report } = start(() => undefined)
    await report('A')
    await settled(inbox)
    const writer = connect()
    writer.exec('BEGIN IMMEDIATE')
    const erased = inbox.erase({ email: 'example@gmail.com' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    writer.exec('COMMIT')
    expect(await erased).toMatchObject({ erased: 1 })
    expect(count('example@gmail.com')).toBe(0)
  })

  test('rejects while a reader prevents the truncation of the log, and finishes the next time', async () => {
    const { inbox, report } = start(() => undefined)
    await report('A')
    await settled(inbox)
    const reader = connect()
    reader.exec('BEGIN; SELECT * FROM conversion_webhook_claims')
    reader.prepare('SELECT count(*) FROM conversion_webhook_claims').get()
    await expect(inbox.erase({ email: 'example@gmail.com' })).rejects.toMatchObject({
      code: 'ERR_CONVERSION_ERASE_INCOMPLETE',
    })
    reader.exec('COMMIT')
    await inbox.erase({ email: 'example@gmail.com' })
    expect(count('example@gmail.com')).toBe(0)
    await eventually(
      () => inbox.list(),
      ([row]) => row?.params.orderID === undefined,
    )
  })
})

describeSqlite('a stuck handler that ends while others have all slots', () => {
  test('takes none of these slots: the next delivery of its conversion waits for a free one', async () => {
    const stuck = deferred()
    const { host, attempt, attempts } = testHost({
      concurrency: 1,
      handlerTimeoutMs: 1,
      onError: () => stuck.resolve(),
    })
    const inbox = open()
    inbox.attach(host)
    const stateOf = async (orderId: string) => (await inbox.list({ orderId })).map(({ state }) => state).sort()
    await inbox.accept(callbackOf('success', { orderID: 'A', goal_complete: '1' }))
    const first = await attempt(1)
    first.judge(late)
    await stuck.promise
    await inbox.accept(callbackOf('success', { orderID: 'B', goal_complete: '0' }))
    const second = await attempt(2)
    expect(await stateOf('A')).toEqual(['running', 'waiting'])
    first.finish()
    await eventually(
      () => stateOf('A'),
      (states) => !states.includes('running'),
    )
    expect(attempts).toHaveLength(2)
    second.judge(done)
    second.finish()
    const third = await attempt(3)
    expect(third.job.id).toMatch(/:goalComplete$/)
    third.judge(done)
    third.finish()
    const retry = await attempt(4)
    expect(retry.job).toMatchObject({ event: 'success', attempt: 2 })
    retry.judge(done)
    retry.finish()
    await settled(inbox)
    expect(await stateOf('A')).toEqual(['done', 'done'])
  })
})

describeSqlite('a process that closes with a stuck handler', () => {
  test('leaves its delivery to the next process, which takes it over', async () => {
    const stuck = deferred()
    const never = deferred()
    const first = start(() => never.promise, { onError: () => stuck.resolve() }, { handlerTimeoutMs: 10 })
    const { id } = await first.report('A')
    await stuck.promise
    await first.webhook.close()
    connect().exec('DELETE FROM conversion_webhook_workers') // as every process does with one that is silent for 20 s
    const attempts: number[] = []
    const next = start((_conversion, { attempt }) => void attempts.push(attempt))
    await settled(next.inbox)
    expect(attempts).toEqual([2])
    never.resolve()
    expect(await next.inbox.get(`${id}:success`)).toMatchObject({
      state: 'done',
      lastError: { code: 'ERR_CONVERSION_ATTEMPT_LAPSED' },
    })
  })
})

describeSqlite("an order that a claim has only because confirm named the shop's number", () => {
  test('is not listed, and stays with that claim after a callback names this number and after a prune', async () => {
    const paid: unknown[] = []
    const confirm = () => ({ order: 1001 })
    const { inbox, report } = start((conversion) => paid.push(conversion), {}, { confirm })
    const { id } = await report('01001')
    await eventually(inbox.stats, ({ deliveries }) => deliveries.done === 1)
    expect(await inbox.list()).toHaveLength(1)
    expect(await inbox.prune({ olderThanDays: 0 })).toMatchObject({ pruned: 1 })
    const second = await report('1001')
    await eventually(inbox.stats, ({ deliveries }) => deliveries.refused === 1)
    expect(await inbox.get(`${second.id}:success`)).toMatchObject({ state: 'refused', takenBy: id })
    expect(paid).toMatchObject([{ orderId: '01001' }])
  })

  test('has one row and one holder', async () => {
    const { inbox, report } = start(() => undefined, {}, { confirm: () => ({ order: 1001 }) })
    const ids = [(await report('01001')).id, (await report('1001')).id, (await report('1001.0')).id]
    await eventually(inbox.stats, ({ deliveries }) => deliveries.refused === 2)
    const db = connect()
    const rows = db.prepare('SELECT id, holder, status FROM conversion_webhook_claims ORDER BY number').all()
    expect(rows.map(({ id, holder, status }) => [id, holder, status])).toEqual(
      ids.map((id, index) => [id, index < 2 ? 1 : null, 'success']),
    )
    const again = db.prepare('INSERT INTO conversion_webhook_claims (id, identity, holder) VALUES (?, ?, 2)')
    expect(() => again.run(...ids.slice(1, 2), '')).toThrow('UNIQUE')
  })
})
