import type { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { Client } from 'pg'
import type { Callback } from '../../lib/callback/conversion.js'
import { recordCallback, type ClaimResult } from '../../lib/inbox/transitions.js'
import type { Accepted } from '../../lib/inbox/inbox.js'
import { durableBudget } from '../../lib/inbox/quarantine.js'
import { emptied, type ClaimRecord } from '../../lib/inbox/records.js'
import type { ConversionStatus } from '../../lib/index.js'
import type { Change } from '../../lib/inbox/store.js'
import { PostgresFound } from '../../lib/inbox/stores/postgres-found.js'
import { PostgresQuarantine } from '../../lib/inbox/stores/postgres-quarantine.js'
import { PostgresRows } from '../../lib/inbox/stores/postgres-rows.js'
import { migrate } from '../../lib/inbox/stores/postgres-schema.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { temporaryFolder } from '../support/sqlite.js'
import { identityOf, peopleOf } from '../../lib/inbox/claims.js'

/*
 * The PostgreSQL store reads once for all callbacks of a transaction, before it knows what each of them changes for the next. The callbacks
 * must belong to the same claims as in SQLite, where the store reads for each callback.
 */

const runs = Number(process.env.HISTORIES ?? 400)

const callback = fc.record({
  order: fc.constantFrom<string>('A', 'A', 'A', 'A', 'A', 'A', 'B'),
  referrer: fc.constantFrom<string>('ann', 'eve', ''),
  referee: fc.constantFrom<string>('bob', 'dan', ''),
  status: fc.constantFrom<ConversionStatus>('success', 'fail', 'pending'),
  amount: fc.constantFrom<(string | undefined)[]>(undefined, undefined, undefined, '10', '20'),
})
const blank = { order: '', referrer: '', referee: '', status: 'fail', amount: undefined } as const

/** An earlier event, with the number of its claim. */
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ callback }) },
  { weight: 1, arbitrary: fc.record({ reserves: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ forgets: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ isConflict: fc.nat(5) }) },
)
const steps = { size: 'max', minLength: 2, maxLength: 5 } as const

type Valued<A> = A extends fc.Arbitrary<infer T> ? T : never
type Step = Valued<typeof step>
type Result = Partial<ClaimResult & { readonly accepted: Accepted }>

function toCallback(sent: Valued<typeof callback>, scope: string): Callback {
  const { order, referrer, referee, status, amount } = sent
  const params = {
    conversion: status,
    orderID: order,
    ...(referrer !== '' && { referrer_email: `${referrer}@example.com` }),
    ...(referee !== '' && { referee_email: `${referee}@example.com` }),
    ...(amount !== undefined && { purchaseValue: amount }),
  }
  return { status, params, extra: {}, repairs: [], scope, receivedAt: Date.now() }
}

function changeFor(received: Callback): Change<Result, DatabaseSync> {
  const identity = identityOf(received)
  return {
    callback: { identity, people: peopleOf(received) },
    apply: (found) => recordCallback(found, identity, received, undefined),
  }
}

/** Changes one claim of the order A. */
function changeOf(
  claims: readonly ClaimRecord[],
  each: Exclude<Step, { callback: unknown }>,
): Change<Result, DatabaseSync> | undefined {
  const [number] = Object.values<number>(each)
  const claim = claims[(number ?? 0) % Math.max(1, claims.length)]
  if (claim === undefined || ('isConflict' in each && claim.id === claim.identity)) return undefined
  return {
    claim: claim.id,
    apply: ({ record }) => {
      if (record === undefined) return { result: {} }
      if ('reserves' in each)
        return { record: { ...record, order: record.identity }, reserved: [record.identity], result: {} }
      if ('forgets' in each) return { record: emptied(record), result: {} }
      const { peopleHash: _none, ...conflict } = record // like a claim made of a replayed conflict
      return { record: conflict, result: {} }
    },
  }
}

const says = (status: ConversionStatus, referrer: string, referee: string): Step => ({
  callback: { order: 'A', referrer, referee, status, amount: undefined },
})

/** Callbacks that change which claims the next callback may belong to. */
const examples: [Step[], Step[]][] = [
  // The first claim takes other people, so that a fail with its former people may belong to another claim as well.
  [
    [says('pending', 'ann', ''), says('success', '', 'dan')],
    [says('success', 'ann', 'bob'), says('fail', 'ann', '')],
  ],
  // Two of the rivals that agree with a fail cease to agree with it, and the last one still agrees.
  [
    ['bob', 'carl', 'dan', 'zoe'].map((referee) => says('pending', '', referee)),
    [says('success', 'eve', 'carl'), says('success', 'eve', 'dan'), says('fail', 'ann', '')],
  ],
]

const describePostgres = hasPostgres ? describe : describe.skip

describePostgres('callbacks of one transaction', () => {
  const folder = temporaryFolder()
  const rows = new PostgresRows('batches')
  const quarantine = new PostgresQuarantine('batches', durableBudget)
  let server: Server
  let client: Client
  let sqlite: SqliteStore
  beforeAll(async () => {
    server = await startServer()
    client = new Client({ connectionString: server.url })
    await client.connect()
    await migrate(client, 'batches')
    sqlite = new SqliteStore(openSqlite(folder.file('inbox.db')))
  })
  afterAll(async () => {
    await sqlite.close()
    folder.remove()
    await client.end()
    await server.stop()
  })

  /** Writes the claims of identities as SQLite has them. */
  async function copy(identities: readonly string[]): Promise<void> {
    const claims = (await Promise.all(identities.map((identity) => sqlite.claims(identity)))).flat()
    await rows.write(
      client,
      claims.map((after) => ({ before: undefined, after })),
    )
    const holders = await sqlite.holders(identities)
    await rows.reserve(client, new Map([...holders].map(([order, { claim }]) => [order, claim])))
  }

  /** The outcome and claim of each callback; for a conflict with several claims it is not defined which one is named. */
  const briefly = ({ accepted }: Result) => accepted && [accepted.outcome, accepted.id]
  const byId = (records: readonly ClaimRecord[]) => [...records].sort((a, b) => (a.id < b.id ? -1 : 1))

  test(`belong to the same claims as if they came one after another (${String(runs)} times)`, async () => {
    let count = 0
    const compare = async (before: readonly Step[], together: readonly Step[]) => {
      const scope = String(++count)
      const [first = '', ...others] = ['A', 'B'].map((order) => identityOf(toCallback({ ...blank, order }, scope)))
      const identities = [first, ...others]
      const toChange = async (each: Step) =>
        'callback' in each ? changeFor(toCallback(each.callback, scope)) : changeOf(await sqlite.claims(first), each)
      for (const each of before) {
        const change = await toChange(each)
        if (change) await sqlite.change(change)
      }
      await client.query('BEGIN')
      try {
        await copy(identities)
        const changes = (await Promise.all(together.map(toChange))).filter((change) => change !== undefined)
        const found = await PostgresFound.read(client, rows, quarantine, changes)
        const results = changes.map((change) => {
          const changed = change.apply(found.find(change))
          found.put(changed)
          return briefly(changed.result)
        })
        const expected = []
        for (const change of changes) expected.push(briefly(await sqlite.change(change)))
        expect(results).toEqual(expected)
        const written = byId(found.written.map(({ after }) => after))
        const recorded = await Promise.all(written.map(({ id }) => sqlite.record(id)))
        expect(written).toEqual(recorded)
      } finally {
        await client.query('ROLLBACK')
      }
    }
    const histories = fc.asyncProperty(fc.array(step, steps), fc.array(step, steps), compare)
    await fc.assert(histories, { numRuns: runs, examples })
  }, 600_000)
})
