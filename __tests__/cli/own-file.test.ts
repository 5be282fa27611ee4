import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { conversionWebhook } from '../../lib/index.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { claimFile } from '../../lib/cli/own-file.js'
import { params } from '../support/callbacks.js'
import { cli } from '../support/cli.js'
import { startListening } from '../support/listening.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

const describeListen = hasSqlite ? describe : describe.skip

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => (folder = temporaryFolder()))
afterEach(() => folder.remove())

/** The bytes of every file in a folder. */
function contents(file: string) {
  const at = dirname(file)
  return readdirSync(at).map((name) => [name, statSync(join(at, name)).mtimeMs, readFileSync(join(at, name), 'base64')])
}

const refusal = (file: string) => ({
  exitCode: 2,
  out: '',
  err: `conversion-webhook: ${file} was not made by listen. An app may use it, and listen would settle the app's deliveries without running its handlers: give listen a file of its own with --file\n`,
  questions: [],
})

/** Runs listen on a file that it should refuse, and interrupts it in case it starts. */
const listenTo = (file: string) => cli(['listen', '--port', '0', '--file', file], { interrupted: AbortSignal.abort() })

/** An app's inbox in which five rewards wait. */
async function appWithFiveWaiting(file: string) {
  const inbox = sqliteInbox(file)
  const webhook = conversionWebhook({}, { secret: false, inbox })
  for (const orderID of ['A', 'B', 'C', 'D', 'E']) {
    await webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))
  }
  return webhook
}

async function waiting(file: string): Promise<number> {
  const inbox = sqliteInbox(file)
  const { deliveries } = await inbox.stats()
  await inbox.close()
  return deliveries.waiting
}

describeListen('listen refuses the file of an app', () => {
  test('the default file is not the one that the examples use', async () => {
    const { out } = await cli(['listen', '--help'])
    expect(out).toMatch(/--file <path> .*\(default:\s+"conversion-webhook-listen\.db"\)/)
  })

  test('the file of an app is refused, and its five rewards wait on', async () => {
    const file = folder.file('conversions.db')
    await (await appWithFiveWaiting(file)).close()
    const before = contents(file)
    expect(await listenTo(file)).toEqual(refusal(file))
    expect(contents(file)).toEqual(before)
    expect(await waiting(file)).toBe(5)
  })

  test('the file of a running app is refused', async () => {
    const file = folder.file('conversions.db')
    const app = await appWithFiveWaiting(file)
    expect(await listenTo(file)).toEqual(refusal(file))
    expect((await app.inbox.stats()).deliveries).toMatchObject({ waiting: 5, done: 0 })
    await app.close()
  })

  test('a database without an inbox is refused, even one without tables', async () => {
    const file = folder.file('orders.db')
    const db = openFile(file)
    db.exec('PRAGMA journal_mode = WAL')
    expect(await listenTo(file)).toEqual(refusal(file))
    db.exec('CREATE TABLE orders (id)')
    expect(await listenTo(file)).toEqual(refusal(file))
    expect(db.prepare('SELECT name FROM sqlite_master').all()).toEqual([{ name: 'orders' }])
    db.close()
  })

  test('a file that an app has opened and not written yet is marked and accepted', () => {
    const file = folder.file('new.db')
    const db = openFile(file) // the file is empty until the app's first commit
    expect(statSync(file).size).toBe(0)
    expect(claimFile(file)).toBe(file)
    expect(claimFile(file)).toBe(file)
    expect(db.prepare('PRAGMA application_id').get()?.application_id).toBe(0x43574c31)
    db.close()
  })

  test.each([
    ['a text', 'not a database at all'.repeat(20)],
    ['a short one', 'x'],
  ])('%s is refused and stays as it is', async (_what, text) => {
    const file = folder.file('notes.txt')
    writeFileSync(file, text)
    expect(await listenTo(file)).toEqual(refusal(file))
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('a folder, and a file in a missing folder, cannot be used', async () => {
    mkdirSync(folder.file('folder'))
    for (const [name, why] of [
      ['folder', 'EISDIR'],
      ['no/such.db', 'ENOENT'],
    ] as const) {
      const { exitCode, err } = await listenTo(folder.file(name))
      expect(exitCode).toBe(1)
      expect(err).toMatch(
        new RegExp(`^conversion-webhook: the inbox cannot be used: ${why}.*${name}.*INBOX_UNAVAILABLE\\)\\n$`),
      )
    }
  })

  test('an empty file and a file that listen made are accepted, by two processes at once', async () => {
    const file = folder.file('listen.db')
    writeFileSync(file, '')
    const both = await Promise.all([1, 2].map(() => startListening(['--file', file])))
    for (const { callbacks } of both) expect((await cli(['send', callbacks])).exitCode).toBe(0)
    for (const { end } of both) expect((await end()).exitCode).toBe(0)
    const again = await startListening(['--file', file])
    expect((await again.end()).exitCode).toBe(0)
  })

  test('the file stays marked after everything in it was erased', async () => {
    const file = folder.file('listen.db')
    const first = await startListening(['--file', file])
    await cli(['send', first.callbacks, '--set', 'referee_email=eva@example.com'])
    while (!first.log().some(({ what }) => what === 'delivered')) await new Promise(setImmediate)
    await first.end()
    expect((await cli(['inbox', 'erase', file, '--email', 'eva@example.com', '--yes'])).exitCode).toBe(0)
    const second = await startListening(['--file', file])
    expect((await second.end()).exitCode).toBe(0)
  })

  test('only its owner can read the file', async () => {
    const file = folder.file('listen.db')
    await (await startListening(['--file', file])).end()
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })
})
