import { conversionInspector } from '../../lib/inspector.js'
import type { Rows } from '../../lib/inspector/api.js'
import type { EntryView } from '../../lib/inspector/view.js'
import { memoryInbox, type HistoryEntry, type InboxClaim, type InboxEntry, type InboxRow } from '../../lib/index.js'
import { send } from '../support/client.js'
import { closeServers, listen } from '../support/servers.js'

/* Every answer of the inspector stays below its size limit, even if every recorded string has its maximum length. */

afterEach(closeServers)

const mebibyte = 1024 * 1024
/** A control character: JSON needs six bytes for it. */
const hostile = '\u0001'.repeat(15_000)

const row = (number: number, text: string): InboxRow => ({
  id: `row-${String(number)}`,
  kind: 'refused',
  state: 'refused',
  scope: text,
  receivedAt: new Date(1_000_000 - number),
  params: Object.fromEntries(
    ['orderID', 'referrer_name', 'referrer_email', 'referee_name', 'referee_email'].map((name) => [name, text]),
  ),
  attempts: 0,
  lastError: { code: 'ERR_CONVERSION_HANDLER_FAILED', message: text },
})

/** An inspector over an inbox that holds these rows, newest first, all with the same history and claims. */
async function start(
  rows: readonly InboxRow[],
  history: readonly HistoryEntry[] = [],
  claims: readonly InboxClaim[] = [],
) {
  const inspector = conversionInspector(
    {
      ...memoryInbox(),
      list({ limit = 50, before } = {}) {
        const from = rows.findIndex(({ id }) => id === before) + 1
        return Promise.resolve(rows.slice(from, from + limit))
      },
      get(id) {
        const found = rows.find((each) => each.id === id)
        return Promise.resolve(found && ({ ...found, history, claims } satisfies InboxEntry))
      },
    },
    { authorize: () => true },
  )
  const { port } = await listen((req, res) => {
    inspector(req, res)
  })
  const headers = { 'Content-Type': 'application/json', 'X-Conversion-Inspector': '1' }
  return async (name: string, asked: object) => {
    const { status, body } = await send(port, `/api/${name}`, { method: 'POST', headers, body: JSON.stringify(asked) })
    expect(status).toBe(200)
    return { bytes: Buffer.byteLength(body), answer: JSON.parse(body) as Rows & EntryView }
  }
}

test.each([false, true])('a page of rows ends below 1 MiB and goes on by before (unmasked: %p)', async (unmask) => {
  const ask = await start(Array.from({ length: 120 }, (_, number) => row(number, hostile)))
  const seen: string[] = []
  for (let before = {}, hasMore = true; hasMore; before = { before: seen.at(-1) }) {
    const { bytes, answer } = await ask('rows', { ...before, unmask })
    expect(bytes).toBeLessThan(mebibyte)
    seen.push(...answer.rows.map(({ id }) => id))
    hasMore = answer.hasMore
  }
  expect(seen).toHaveLength(120)
  expect(new Set(seen).size).toBe(120)
})

test('a cell cuts a long string and says its length, and the entry has all of it', async () => {
  const orderID = 'A'.repeat(15_000)
  const ask = await start([{ ...row(0, ''), params: { orderID } }])
  const { answer } = await ask('rows', {})
  expect(answer.rows[0]?.orderId).toBe(`${'A'.repeat(200)}… (15,000 characters)`)
  const { answer: entry } = await ask('entry', { id: 'row-0' })
  expect(entry.params).toEqual([['orderID', orderID]])
})

test('an entry ends below 1 MiB, with the newest of its history and the number of entries left out', async () => {
  const history = Array.from({ length: 5_000 }, (_, number): HistoryEntry => {
    return { at: new Date(number), what: 'failed', attempt: number, message: '\u0001'.repeat(1_000) }
  })
  const ask = await start([row(0, hostile)], history)
  const { bytes, answer } = await ask('entry', { id: 'row-0', unmask: true })
  expect(bytes).toBeLessThan(mebibyte)
  const { length } = answer.history
  expect(length).toBeGreaterThan(50)
  expect(answer.history.map(({ attempt }) => attempt)).toEqual(
    Array.from({ length }, (_, number) => 5_000 - length + number),
  )
  expect(answer.olderHistory).toBe(5_000 - length)
})

test('an entry with a hundred claims ends below 1 MiB, and holds the claim that has the order', async () => {
  const address = '\u0001'.repeat(320)
  const claims = Array.from({ length: 100 }, (_, number): InboxClaim => {
    return {
      id: `claim-${String(number)}`,
      status: 'success',
      hasOrder: number === 99,
      referrerEmail: address,
      refereeEmail: address,
    }
  })
  const history = Array.from({ length: 5_000 }, (_, number): HistoryEntry => {
    return {
      at: new Date(number),
      what: 'failed',
      id: `claim-${String(number % 100)}`,
      message: '\u0001'.repeat(1_000),
    }
  })
  const parameters = ['orderID', 'referrer_email', 'referee_email', 'purchaseValue']
  const full = {
    ...row(0, hostile),
    issues: Array.from({ length: 20 }, () => ({ rule: 'type', message: hostile })),
    differs: parameters.map((parameter) => ({ parameter, recorded: address, received: address })),
  }
  const ask = await start([full], history, claims)
  const { bytes, answer } = await ask('entry', { id: 'row-0', unmask: true })
  expect(bytes).toBeLessThan(mebibyte)
  expect(answer.differs).toHaveLength(4)
  expect(answer.claims.length).toBeGreaterThan(20)
  expect(answer.claims.length + answer.otherClaims).toBe(100)
  expect(answer.claims[0]).toMatchObject({ id: 'claim-99', hasOrder: true })
  expect(answer.history.at(-1)).toMatchObject({ claim: 1 })
})

test('a short history is complete', async () => {
  const ask = await start([row(0, 'x')], [{ at: new Date(0), what: 'recorded' }])
  const { answer } = await ask('entry', { id: 'row-0' })
  expect([answer.history.length, answer.olderHistory]).toEqual([1, 0])
})
