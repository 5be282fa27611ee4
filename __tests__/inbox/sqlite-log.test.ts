import { existsSync, statSync, symlinkSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { SqliteLog, LogLength } from '../../lib/inbox/stores/sqlite-log.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { eventually } from '../contract/inboxes.js'
import { testHost } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* When the write-ahead log of a SQLite file is moved into the file, and by which thread. */

const describeSqlite = hasSqlite ? describe : describe.skip
const mebibyte = 1_048_576

describeSqlite('the log of a SQLite file', () => {
  const folder = temporaryFolder()
  const file = (end = '') => folder.file(`inbox.db${end}`)
  const logSize = () => statSync(file('-wal')).size
  const fileSize = () => statSync(file()).size
  let closing: (() => unknown)[]
  beforeEach(() => {
    closing = []
  })
  afterEach(async () => {
    for (const close of closing.reverse()) await close()
    folder.remove()
  })

  function start() {
    const db = openSqlite(file())
    const store = new SqliteStore(db)
    const inbox = new DurableInbox(store)
    inbox.attach(testHost({ handlers: { has: () => false } }).host) // a process without handlers only records
    closing.push(() => inbox.close())
    let number = 0
    const accept = () =>
      inbox.accept(
        callbackOf('success', {
          orderID: `order ${String(number++)}`,
          goal_complete: '0',
          referrer_customValue: 'x'.repeat(8_000),
        }),
      )
    return { db, store, inbox, acceptMany: (count: number) => Promise.all(Array.from({ length: count }, accept)) }
  }

  function connect(): DatabaseSync {
    const db = openFile(file())
    closing.push(() => {
      db.close()
    })
    return db
  }

  test('is moved by another thread, and not by the commit that makes it long', async () => {
    const { acceptMany } = start()
    const before = fileSize()
    await acceptMany(500)
    expect(logSize()).toBeGreaterThan(4 * mebibyte)
    expect(fileSize()).toBe(before)
    await acceptMany(1)
    await eventually(
      () => Promise.resolve(fileSize()),
      (size) => size > 4 * mebibyte,
    )
  })

  test('is restarted while commits keep coming', async () => {
    const { acceptMany } = start()
    let longest = 0
    for (let written = 0; written < 100 * mebibyte; written += 100 * 8_000) {
      await acceptMany(100)
      longest = Math.max(longest, logSize())
    }
    expect(longest).toBeLessThan(40 * mebibyte)
  })

  test('becomes small again when a long read of another connection has ended, whether callbacks come or not', async () => {
    const { acceptMany, inbox } = start()
    const reader = connect()
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM conversion_webhook_claims').get()
    while (logSize() < 20 * mebibyte) await acceptMany(100)
    reader.exec('COMMIT')
    await eventually(
      () => Promise.resolve(logSize()),
      (size) => size < 16 * mebibyte,
    )
    expect((await inbox.stats()).callbacks.accepted).toBeGreaterThan(1_000)
  })

  test('is moved by SQLite itself if no other thread can do it', async () => {
    const db = openSqlite(file())
    symlinkSync(file('-wal'), folder.file('elsewhere.db-wal'))
    const log = new SqliteLog(db, folder.file('elsewhere.db')) // where a thread finds nothing
    closing.push(
      () => log.close(),
      () => {
        db.close()
      },
    )
    db.exec('CREATE TABLE blobs (blob)')
    const before = fileSize()
    await eventually(
      () => {
        log.watch(logSize())
        db.exec('INSERT INTO blobs VALUES (randomblob(500000))')
        return Promise.resolve(fileSize())
      },
      (size) => size > before,
    )
  })

  test('is closed by every thread when the inbox closes, even while it is being moved', async () => {
    const { acceptMany, inbox } = start()
    await acceptMany(500)
    await acceptMany(1)
    await inbox.close()
    expect(existsSync(file('-wal'))).toBe(false) // the last connection removes it
  })

  test('has a length in pages that its salts show', () => {
    const db = openSqlite(file())
    closing.push(() => {
      db.close()
    })
    const length = new LogLength(file('-wal'))
    const checkpoint = (mode: string) => Number(db.prepare(`PRAGMA wal_checkpoint(${mode})`).get()?.log)
    db.exec('PRAGMA wal_autocheckpoint = 0; CREATE TABLE blobs (blob)')
    const write = () => {
      db.exec('INSERT INTO blobs VALUES (randomblob(10000))')
    }
    while (!length.isOver(50)) write()
    const pages = checkpoint('PASSIVE')
    expect([length.isOver(pages - 1), length.isOver(pages)]).toEqual([true, false])
    expect(pages).toBeGreaterThan(50)
    checkpoint('RESTART')
    const size = logSize()
    length.leaveOut(pages)
    expect(length.isOver(0)).toBe(false)
    write()
    expect(logSize()).toBe(size)
    expect([length.isOver(0), length.isOver(20)]).toEqual([true, false])
    checkpoint('TRUNCATE')
    expect(length.isOver(0)).toBe(false)
    length.close()
  })
})
