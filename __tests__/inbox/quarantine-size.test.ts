import { statSync } from 'node:fs'
import { sqliteInbox } from '../../lib/sqlite.js'
import { testHost, working } from '../support/host.js'
import { refused } from '../support/refused.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* The real budget of a quarantine on disk, by rows and by bytes. */

const describeSqlite = hasSqlite ? describe : describe.skip
const mebibyte = 1_048_576

const folder = temporaryFolder()
afterEach(() => {
  folder.remove()
})

/** The rows that are kept after this many refused callbacks, each with a note. */
async function kept(count: number, note: string) {
  const file = folder.file('inbox.db')
  const inbox = sqliteInbox(file)
  inbox.attach(testHost(working).host)
  const now = Date.now() - count
  const pairsOf = (number: number) =>
    [
      ['orderID', String(number)],
      ['note', note],
    ] as const
  for (let from = 0; from < count; from += 100) {
    const numbers = Array.from({ length: 100 }, (_each, index) => from + index)
    await Promise.all(numbers.map((number) => inbox.quarantine(refused(pairsOf(number), { receivedAt: now + number }))))
  }
  const [newest] = await inbox.list({ limit: 1 })
  await inbox.close()
  const db = openFile(file)
  const row = db.prepare('SELECT count(*) AS rows, sum(bytes) AS bytes FROM conversion_webhook_quarantine').get()
  db.close()
  return {
    newest: Number(newest?.params.orderID),
    rows: Number(row?.rows),
    bytes: Number(row?.bytes),
    fileBytes: statSync(file).size,
  }
}

describeSqlite('a SQLite file', () => {
  test('holds 10,000 refused callbacks, and drops a hundredth of them when there are more', async () => {
    const { rows, newest } = await kept(10_300, '')
    expect(newest).toBe(10_299)
    expect(rows).toBeLessThanOrEqual(10_000)
    expect(rows).toBeGreaterThanOrEqual(9_900)
  })

  test('holds 64 MiB of refused callbacks, measured as they are stored', async () => {
    const { rows, bytes, newest, fileBytes } = await kept(900, '\u0001'.repeat(16_000))
    expect(newest).toBe(899)
    expect(rows).toBeLessThan(800)
    expect(bytes).toBeLessThanOrEqual(64 * mebibyte)
    expect(bytes).toBeGreaterThanOrEqual(63 * mebibyte)
    expect(fileBytes).toBeLessThan(80 * mebibyte)
  })
})
