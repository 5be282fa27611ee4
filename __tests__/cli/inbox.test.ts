import { existsSync, writeFileSync } from 'node:fs'
import { conversionWebhook, type Inbox, type InboxEntry, type InboxRow } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { cli } from '../support/cli.js'
import { startServer, type Server } from '../support/postgres.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

const describeDurable = hasSqlite ? describe : describe.skip

const folder = temporaryFolder()
let server: Server | undefined
beforeAll(async () => {
  if (hasSqlite) server = await startServer()
})
afterAll(async () => {
  folder.remove()
  await server?.stop()
})

/** An app with an inbox: one conversion done, one dead, one refused, one conflict. */
async function fill(storage: string): Promise<void> {
  const isFile = !storage.startsWith('postgres')
  const inbox: Inbox = isFile ? sqliteInbox(storage) : postgresInbox({ connectionString: storage })
  const onSuccess = ({ orderId }: { orderId?: string }) => {
    if (orderId === 'DEAD') throw new Error('no such \x1b[31maccount\u202e')
  }
  const webhook = conversionWebhook(
    { onSuccess, onError: () => undefined },
    { secret: false, inbox: inbox as never, maxAttempts: 1 },
  )
  const report = (orderID: string, changes = {}) =>
    webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0', ...changes }))
  await report('DONE')
  await report('DEAD')
  await settled(inbox)
  await report('DONE', { purchaseValue: '7' })
  const odd = 'odd@example.com'
  await report('ODD', { purchaseValue: '$7', referrer_email: odd, referee_email: odd })
  await webhook.close()
}

describeDurable.each([
  ['a SQLite file', () => folder.file('inbox.db')],
  ['PostgreSQL', () => server?.url ?? ''],
])('the inbox in %s', (_name, storageOf) => {
  let storage: string
  beforeAll(async () => {
    storage = storageOf()
    await fill(storage)
  })

  const ask = async <T>(command: string, ...argv: string[]): Promise<T> => {
    const { out, err, exitCode } = await cli(['inbox', command, storage, '--json', ...argv])
    expect({ err, exitCode }).toEqual({ err: '', exitCode: 0 })
    return JSON.parse(out) as T
  }
  const idOf = async (state: string) => (await ask<InboxRow[]>('list', '--state', state))[0]?.id ?? ''

  test('is listed, by every filter', async () => {
    const states = (rows: readonly InboxRow[]) => rows.map(({ state }) => state).sort()
    expect(states(await ask('list'))).toEqual(['conflict', 'dead', 'done', 'refused'])
    expect(states(await ask('list', '--order', 'DONE'))).toEqual(['conflict', 'done'])
    expect(states(await ask('list', '--email', 'odd@example.com'))).toEqual(['refused'])
    expect(states(await ask('list', '--scope', 'another'))).toEqual([])
    const first = await ask<InboxRow[]>('list', '--limit', '3')
    const rest = await ask<InboxRow[]>('list', '--before', first[2]?.id ?? '')
    expect(states([...first, ...rest])).toEqual(['conflict', 'dead', 'done', 'refused'])
  })

  test('is listed as a table, and the option for the next page is printed', async () => {
    const { out, err } = await cli(['inbox', 'list', storage, '--limit', '2'])
    expect(out).toMatch(/^received \(UTC\) +state +event +order +scope +attempts +id +last error\n(.+\n){2}$/)
    expect(out).toMatch(/ conflict {2}conflict {2}DONE .* differs in purchaseValue\n/)
    expect(err).toMatch(/^Older ones: --before \S+\n$/)
    expect((await cli(['inbox', 'list', storage, '--order', 'NONE'])).out).toBe('No record matches.\n')
  })

  test('show prints everything about one row, with control characters made visible', async () => {
    const id = await idOf('dead')
    expect(await ask<InboxEntry>('show', id)).toMatchObject({ id, state: 'dead', params: { orderID: 'DEAD' } })
    const { out } = await cli(['inbox', 'show', storage, id], { isTerminal: true, env: { NO_COLOR: '1' } })
    expect(out).toContain('ERR_CONVERSION_HANDLER_FAILED, no such <U+001B>[31maccount<U+202E>')
    expect(out).toMatch(/^last attempt +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/m)
    expect(out).not.toMatch(/[\x1b\u202e]/)
    const { out: conflict } = await cli(['inbox', 'show', storage, await idOf('conflict')])
    expect(conflict).toMatch(/\norder +recorded for the claim: [0-9a-f]{40}\n/)
    expect(conflict).not.toContain('another claim')
    const { out: refused } = await cli(['inbox', 'show', storage, await idOf('refused')])
    expect(refused).toMatch(/refused +ERR_CONVERSION_CALLBACK_REFUSED\n +purchaseValue must be a plain decimal/)
  })

  test('stats counts callbacks and deliveries', async () => {
    const callbacks = { accepted: 2, duplicate: 0, stale: 0, conflict: 1, refused: 1 }
    expect(await ask('stats')).toMatchObject({ callbacks, deliveries: { done: 1, dead: 1 } })
    const { out } = await cli(['inbox', 'stats', storage, '--days', '2'])
    expect(out).toMatch(/accepted +2\n[^]*dead +1\n[^]*\d{4}-\d\d-\d\d +0 +0 +0\n\d{4}-\d\d-\d\d +2 +0 +0\n$/)
  })

  test('replay marks a delivery, and a process with handlers runs it', async () => {
    const id = await idOf('dead')
    expect(await ask('replay', id)).toEqual({ marked: [id], moves: [] })
    expect(await ask('show', id)).toMatchObject({ state: 'waiting', attempts: 0 })
  })

  test('erase prints the deliveries that still wait instead of erasing them', async () => {
    const argv = ['inbox', 'erase', storage, '--email', 'example@gmail.com', '--yes']
    const { exitCode, out, err } = await cli(argv)
    expect(exitCode).toBe(1)
    expect(out).toMatch(/^Erased \d\.\nNot erased yet, since a delivery waits: \S+\n$/)
    expect(err).toBe('conversion-webhook: erase again when these deliveries have settled\n')
  })

  test.each([['prune', ['--older-than-days', '0']] as const, ['erase', ['--email', 'odd@example.com']] as const])(
    '%s asks before it deletes anything',
    async (command, argv) => {
      const all = ['inbox', command, storage, ...argv]
      const rows = () => ask<InboxRow[]>('list', '--state', 'refused')
      expect(await rows()).toHaveLength(1)
      const alone = await cli(all)
      expect([alone.exitCode, alone.err]).toEqual([
        2,
        'conversion-webhook: the input is no terminal, so nobody can confirm: add --yes\n',
      ])
      const declined = await cli(all, { answer: 'no' })
      expect([declined.exitCode, declined.err]).toEqual([1, 'conversion-webhook: nothing was changed\n'])
      expect(declined.questions).toEqual([expect.stringMatching(/\? \(yes\/no\) $/)])
      expect(await rows()).toHaveLength(1)
      if (command === 'prune') return // it would leave nothing to erase
      expect(await cli(all, { answer: ' Yes ' })).toMatchObject({ exitCode: 0, out: 'Erased 1.\n' })
      expect(await rows()).toEqual([])
    },
  )

  test('prune deletes the parameters of settled conversions', async () => {
    expect(await ask<object>('prune', '--older-than-days', '0', '--yes')).toEqual({
      pruned: expect.any(Number) as number,
    })
    expect(await ask('show', await idOf('done'))).toMatchObject({ params: {} })
    const { out } = await cli(['inbox', 'show', storage, await idOf('done')])
    expect(out).toContain('nothing is kept')
  })

  test.each(['show', 'replay'])('%s fails for an unknown id', async (command) => {
    const { exitCode, err, out } = await cli(['inbox', command, storage, 'nothing:success'])
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' })
    expect(err).toMatch(/^conversion-webhook: nothing is recorded under this id/i)
  })
})

describeDurable('the output says', () => {
  const file = () => folder.file('people.db')
  const told = async (...argv: string[]) => (await cli(['inbox', ...argv])).out
  const open = (onSuccess: () => void) =>
    conversionWebhook({ onSuccess, onError: () => undefined }, { secret: false, inbox: sqliteInbox(file()) })

  test('when the next attempt is, for which scope, and how often it was repeated', async () => {
    const webhook = open(() => {
      throw new Error('')
    })
    const conversion = params({ conversion: 'success', orderID: undefined, goal_complete: '0' })
    for (let times = 0; times < 3; times++) await webhook.accept(conversion, { scope: 'spring' })
    while ((await webhook.inbox.list())[0]?.attempts !== 1) await new Promise(setImmediate)
    await webhook.close()
    const [row] = JSON.parse(await told('list', file(), '--json')) as InboxRow[]
    expect(await told('replay', file(), row?.id ?? '')).toBe(
      'Marked 1. A process with handlers makes the next attempt.\n',
    )
    const shown = await told('show', file(), row?.id ?? '')
    expect(shown).toMatch(/\nscope +spring\n/)
    expect(shown).toMatch(/\nnext attempt +\d{4}-\d\d-\d\d \S+\n/)
    expect(shown).toMatch(/ duplicate +2 times\n/)
    expect(await told('stats', file())).toMatch(/Oldest waiting: \d+ s\n$/)
    expect(await told('prune', file(), '--older-than-days', '9', '--yes')).toBe(
      'Deleted the parameters of 0 records.\n',
    )
    expect((await cli(['inbox', 'list', file()], { isTerminal: true })).out).toContain('\x1b[33mwaiting\x1b[39m')
  })

  test('until when confirm holds a delivery, and how many are held', async () => {
    const held = folder.file('held.db')
    const until = new Date(Date.now() + 30 * 86_400_000)
    const inbox = sqliteInbox(held)
    const webhook = conversionWebhook({ onSuccess: () => undefined }, { secret: false, inbox, confirm: () => until })
    const { id } = await webhook.accept(params({ goal_complete: '0' }))
    while ((await inbox.stats()).deliveries.held !== 1) await new Promise(setImmediate)
    await webhook.close()
    const time = until.toISOString().replace('T', ' ').replace('Z', '')
    const shown = await told('show', held, `${id}:success`)
    expect(shown).toContain(`held until    ${time}\n`)
    expect(shown).toMatch(/\nattempts +0\n[^]* held +success +ERR_CONVERSION_DELIVERY_HELD\n/)
    expect(await told('stats', held)).toMatch(/waiting +0\n +held +1\n[^]*Oldest waiting: none\n$/)
  })

  test('that the parameters of an erased conversion are gone', async () => {
    const webhook = open(() => undefined)
    while ((await webhook.inbox.stats()).deliveries.done < 1) {
      const waiting = await webhook.inbox.list({ state: 'waiting' })
      for (const { id } of waiting) await webhook.inbox.replay(id).catch(() => undefined) // a running delivery cannot be replayed
      await new Promise(setImmediate)
    }
    await webhook.close()
    const [row] = JSON.parse(await told('list', file(), '--json')) as InboxRow[]
    expect(await told('prune', file(), '--older-than-days', '9', '--yes', '--json')).toBe('{\n  "pruned": 0\n}\n')
    expect(JSON.parse(await told('erase', file(), '--email', 'example@gmail.com', '--yes', '--json'))).toEqual({
      erased: 1,
      waiting: [],
    })
    expect(await told('show', file(), row?.id ?? '')).toContain('\nReceived\nnothing is kept\n')
    expect(await told('stats', file())).toContain('Oldest waiting: none')
  })
})

describeDurable('an order that several claim', () => {
  const thief = 'thief@shop.example'
  const anna = 'anna@shop.example'
  const third = 'third@shop.example'
  const file = () => folder.file('claims.db')
  const told = async (...argv: string[]) => (await cli(['inbox', ...argv])).out
  let winner: string
  let rival: string
  let conflict: string
  let reversal: string

  beforeAll(async () => {
    let isPaid = false
    const inbox = sqliteInbox(file())
    const confirm = () => isPaid || ('hold' as const)
    const webhook = conversionWebhook({ onSuccess: () => undefined }, { secret: false, inbox, confirm })
    const report = async (changes: object) => {
      const referee_email = 'friend@shop.example'
      const { id } = await webhook.accept(params({ orderID: '1001', referee_email, goal_complete: '0', ...changes }))
      return id
    }
    const isIn = async (id: string, state: string) => {
      while ((await inbox.get(id))?.state !== state) await new Promise(setImmediate)
    }
    rival = await report({ referrer_email: thief, purchaseValue: '9000' })
    winner = await report({ referrer_email: anna })
    while ((await inbox.stats()).deliveries.held !== 2) await new Promise(setImmediate)
    isPaid = true
    for (const [id, state] of [[`${winner}:success`, 'done'] as const, [`${rival}:success`, 'refused'] as const]) {
      await inbox.replay(id)
      await isIn(id, state)
    }
    conflict = await report({ referrer_email: third })
    reversal = await report({ referrer_email: third, conversion: 'fail' })
    await webhook.close()
  })

  test('is marked in the list, and a line explains the mark', async () => {
    const { out, err } = await cli(['inbox', 'list', file()])
    expect(
      [...out.matchAll(/^\S+ \S+ +(done|refused|conflict)(\*?) /gm)].map(([, state = '', mark = '']) => state + mark),
    ).toEqual(['conflict*', 'conflict*', 'done', 'refused*'])
    expect(out).toMatch(/ refused\* .* ERR_CONVERSION_ORDER_TAKEN\n/)
    expect(err).toBe('* another claim has the order; inbox show says which\n')
    const rows = JSON.parse(await told('list', file(), '--json')) as InboxRow[]
    expect(rows.map(({ takenBy }) => takenBy)).toEqual([winner, winner, undefined, winner])
    const [, { differs }] = rows as [InboxRow, InboxRow]
    expect(differs).toEqual([{ parameter: 'referrer_email', recorded: anna, received: third }])
    expect((await cli(['inbox', 'list', file(), '--state', 'done'])).err).toBe('')
  })

  test('is shown with its claims, the one that has it first, and each entry of the history names its claim', async () => {
    const shown = await told('show', file(), `${rival}:success`)
    expect(shown).toContain(`\norder         another claim has it: ${winner}\n`)
    expect(shown).toContain(
      [
        'Claims of the order',
        `1  ${winner}  success, 1000, has the order`,
        `   ${anna} referred friend@shop.example`,
        `2  ${rival}  success, 9000, this one`,
        `   ${thief} referred friend@shop.example`,
        '',
        'History (UTC)',
      ].join('\n'),
    )
    expect(shown).toMatch(/ refused +success +claim 2, ERR_CONVERSION_ORDER_TAKEN\n/)
    expect(shown).toMatch(/ done +success +claim 1\n/)
    expect(Math.max(...shown.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(100)
    expect(await told('show', file(), `${winner}:success`)).toMatch(
      /1 {2}\w+ {2}success, 1000, has the order, this one\n/,
    )
  })

  test('of a conflict is shown with the recorded and the received value of each difference', async () => {
    const shown = await told('show', file(), conflict)
    expect(shown).toContain(
      [
        'Why it is a conflict',
        'parameter       recorded           received',
        `referrer_email  ${anna}  ${third}`,
        '',
        'Claims of the order',
      ].join('\n'),
    )
  })

  test('moves by the replay of a refused delivery or a conflict, and the output names both claims', async () => {
    const moved = (id: string) =>
      [
        'Marked 1. A process with handlers makes the next attempt.',
        'The order moves to another claim when confirm says yes, or immediately if there is no confirm:',
        `  from  ${winner}`,
        `  to    ${id}`,
        'If the claim that had the order was paid, take that payment back yourself.',
        '',
      ].join('\n')
    expect(await told('replay', file(), `${rival}:success`)).toBe(moved(`${rival}:success`))
    expect(await told('replay', file(), conflict)).toBe(moved(conflict))
  })

  test('does not move by the replay of a conflict that is a fail', async () => {
    expect(JSON.parse(await told('replay', file(), reversal, '--json'))).toEqual({ marked: [reversal], moves: [] })
  })

  test('moves, and --json names both claims', async () => {
    const other = folder.file('moves.db')
    const inbox = sqliteInbox(other)
    const webhook = conversionWebhook({ onSuccess: () => undefined }, { secret: false, inbox })
    const { id: first } = await webhook.accept(params({ goal_complete: '0' }))
    await settled(inbox)
    const { id } = await webhook.accept(params({ goal_complete: '0', referrer_email: thief }))
    await webhook.close()
    expect(JSON.parse(await told('replay', other, id, '--json'))).toEqual({
      marked: [id],
      moves: [{ from: first, to: id }],
    })
  })
})

describeDurable('a long order id', () => {
  test('is cut in the list, with its full length, and shown whole', async () => {
    const file = folder.file('long.db')
    const webhook = conversionWebhook({}, { secret: false, inbox: sqliteInbox(file) })
    const orderID = 'A'.repeat(10_000)
    const scope = 's'.repeat(1_000)
    await webhook.accept(params({ orderID }), { scope })
    await webhook.accept(params({ orderID: 'SHORT' }))
    await webhook.close()
    const { out } = await cli(['inbox', 'list', file])
    const cell = (text: string, length: string) => `${text.repeat(255)}… (${length} characters)`
    expect(out).toContain(`  ${cell('A', '10,000')}  ${cell('s', '1,000')}  `)
    expect(Math.max(...out.split('\n').map(({ length }) => length))).toBeLessThan(800)
    const [row] = JSON.parse((await cli(['inbox', 'list', file, '--state', 'refused', '--json'])).out) as InboxRow[]
    const { out: shown } = await cli(['inbox', 'show', file, row?.id ?? ''])
    expect(shown).toContain(`orderID               ${orderID}\n`)
    expect(shown.length).toBeLessThan(13_000)
  })
})

describeDurable('a storage without an inbox is an error and stays unchanged:', () => {
  test('a file that is not there', async () => {
    const file = folder.file('typo.db')
    const { exitCode, err } = await cli(['inbox', 'list', file])
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: `conversion-webhook: there is no file ${file}\n` })
    expect(existsSync(file)).toBe(false)
  })

  test("another app's database", async () => {
    const db = openFile(folder.file('other.db'))
    db.exec('CREATE TABLE orders (id)')
    const { exitCode, err } = await cli(['inbox', 'stats', folder.file('other.db')])
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: expect.stringContaining('holds no inbox') as string })
    expect(db.prepare('SELECT name FROM sqlite_master').all()).toEqual([{ name: 'orders' }])
    db.close()
  })

  test('a file that is no database', async () => {
    writeFileSync(folder.file('text.db'), 'not a database at all, whatever its name says'.repeat(20))
    const { exitCode, err } = await cli(['inbox', 'stats', folder.file('text.db')])
    expect({ exitCode, err }).toEqual({
      exitCode: 1,
      err: expect.stringContaining('ERR_CONVERSION_INBOX_CORRUPT') as string,
    })
  })

  test('a database without our schema, and one that is not there', async () => {
    const url = server?.url ?? ''
    const empty = await cli(['inbox', 'stats', url, '--schema', 'another_one'])
    expect([empty.exitCode, empty.err]).toEqual([
      1,
      'conversion-webhook: the database holds no inbox in its schema another_one\n',
    ])
    const gone = await cli(['inbox', 'stats', 'postgres://nobody:secret@127.0.0.1:1/none'])
    expect(gone.exitCode).toBe(1)
    expect(gone.err).toMatch(/^conversion-webhook: the database cannot be queried: .*ECONNREFUSED.*\n$/)
    expect(gone.err).not.toContain('secret')
  })
})
