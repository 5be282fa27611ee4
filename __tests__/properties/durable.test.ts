import fc from 'fast-check'
import { Client } from 'pg'
import { conversionWebhook, type ConversionContext, type ConversionEvent, type Inbox } from '../../lib/index.js'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { postgresInbox } from '../../lib/postgres.js'
import { settled } from '../contract/inboxes.js'
import { cases } from '../support/cases.js'
import { params } from '../support/callbacks.js'
import { counted, type Ask } from '../support/counted.js'
import { startServer, type Server } from '../support/postgres.js'
import { contradict, statusIn } from '../support/recorded.js'
import { deferred } from '../support/recorder.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'
import { LedgerModel, sequences, type Completed, type Sent } from './model.js'

/*
 * Random histories of one conversion in a durable inbox, compared with the model: callbacks, handlers that fail, replays, restarts,
 * processes that fall silent while a handler runs, clocks that jump. maxAttempts is 1, so that no delivery waits for a retry.
 */

const events = ['pending', 'success', 'goalComplete', 'fail'] as const
const send = fc.constantFrom(...sequences(1).flat())
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ send, fails: fc.subarray([...events]) }) },
  { weight: 2, arbitrary: fc.record({ replay: fc.constantFrom(...events), fails: fc.subarray([...events]) }) },
  { weight: 1, arbitrary: fc.record({ crashAt: send }) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
  { weight: 1, arbitrary: fc.record({ jumpHours: fc.integer({ min: -48, max: 48 }) }) },
)

interface Storage {
  open(): Inbox
  /** Makes the processes that have the inbox open look silent for longer than 20 s. */
  silence(): Promise<unknown>
  jump(hours: number): void
  readonly ask: Ask
  dispose(): Promise<void>
}

/** One process after another on one storage, with what their handlers completed. */
class Shop {
  readonly completed: Completed[] = []
  readonly violations: string[] = []
  readonly #storage: Storage
  #webhook: ReturnType<typeof conversionWebhook<string, (fn: () => unknown) => Promise<unknown>>>
  #fails: readonly ConversionEvent[] = []
  #gate:
    { readonly started: ReturnType<typeof deferred<void>>; readonly end: ReturnType<typeof deferred<void>> } | undefined

  constructor(storage: Storage) {
    this.#storage = storage
    this.#webhook = this.#open()
  }

  #open() {
    const handle = (_conversion: unknown, context: ConversionContext<(fn: () => unknown) => Promise<unknown>>) =>
      this.#handle(context)
    return conversionWebhook<string, (fn: () => unknown) => Promise<unknown>>(
      { onPending: handle, onSuccess: handle, onGoalComplete: handle, onFail: handle, onError: () => undefined },
      { secret: false, maxAttempts: 1, concurrency: 1, inbox: this.#storage.open() as never },
    )
  }

  async #handle({ event, id, previous, commit }: ConversionContext<(fn: () => unknown) => Promise<unknown>>) {
    const gate = this.#gate
    if (gate) {
      this.#gate = undefined
      gate.started.resolve()
      await gate.end.promise
    } else if (this.#fails.includes(event)) {
      this.#fails = this.#fails.filter((each) => each !== event)
      throw new Error('a handler that fails')
    }
    await commit(() => undefined)
    if (gate) this.violations.push(`${id} was committed by an attempt that had lapsed`)
    this.completed.push({ key: id.slice(id.indexOf(':') + 1) as Completed['key'], previous })
  }

  async send({ status, goal }: { status: string; goal: boolean }, fails: readonly ConversionEvent[]): Promise<string> {
    this.#fails = fails
    const { outcome } = await this.#webhook.accept(params({ conversion: status, goal_complete: goal ? '1' : '0' }))
    await settled(this.#webhook.inbox)
    return outcome
  }

  async replay(event: ConversionEvent, fails: readonly ConversionEvent[]): Promise<void> {
    this.#fails = fails
    const dead = await this.#webhook.inbox.list({ state: 'dead' })
    for (const row of dead) if (row.event === event) await this.#webhook.inbox.replay(row.id)
    await settled(this.#webhook.inbox)
  }

  /** The process falls silent while its first handler runs; another takes over, and the first one's late commit is refused. */
  async crash(sent: { status: string; goal: boolean }): Promise<{ outcome: string; hasStarted: boolean }> {
    const gate = { started: deferred(), end: deferred() }
    this.#gate = gate
    this.#fails = []
    const before = this.#webhook
    const { outcome } = await before.accept(params({ conversion: sent.status, goal_complete: sent.goal ? '1' : '0' }))
    // A delivery that was overtaken is withdrawn when it is claimed, and its handler is not called.
    const hasStarted = await Promise.race([
      gate.started.promise.then(() => true),
      settled(before.inbox).then(() => false),
    ])
    if (hasStarted) await this.#storage.silence()
    this.#gate = undefined
    this.#webhook = this.#open()
    await settled(this.#webhook.inbox)
    gate.end.resolve()
    await before.close()
    return { outcome, hasStarted }
  }

  async restart(): Promise<void> {
    await this.#webhook.close()
    this.#webhook = this.#open()
  }

  status() {
    return statusIn(this.#webhook.inbox)
  }

  contradict() {
    return contradict(this.#webhook)
  }

  counted() {
    return counted(this.#webhook.inbox, this.#storage.ask)
  }

  close(): Promise<void> {
    return this.#webhook.close()
  }
}

/** Throws, with its steps, for a history that comes to a standstill. */
function inTime(life: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error('it came to a standstill'))
    }, 15_000)
  })
  return Promise.race([life, late]).finally(() => {
    clearTimeout(timer)
  })
}

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function sentBy(each: Step): Sent | undefined {
  if (each === 'restart') return undefined
  if ('send' in each) return each.send
  return 'crashAt' in each ? each.crashAt : undefined
}

async function live(storage: Storage, steps: readonly Step[]) {
  const shop = new Shop(storage)
  const model = new LedgerModel({ isDurable: true })
  const trace: unknown[] = []
  try {
    for (const each of steps) {
      trace.push(each)
      let outcome: string | undefined
      let expected: string | undefined
      if (each === 'restart') await shop.restart()
      else if ('jumpHours' in each) storage.jump(each.jumpHours)
      else if ('replay' in each) {
        model.failNext(each.fails)
        model.replay(each.replay)
        await shop.replay(each.replay, each.fails)
      } else if ('send' in each) {
        model.failNext(each.fails)
        expected = model.receive(each.send)
        outcome = await shop.send(each.send, each.fails)
      } else {
        const crashed = await shop.crash(each.crashAt)
        outcome = crashed.outcome
        model.failNext(crashed.hasStarted ? [each.crashAt.status] : [])
        // If a repeated success reported the goal, the running delivery is the goal's.
        if (crashed.hasStarted && model.status === 'success' && each.crashAt.status === 'success') {
          model.failNext(['goalComplete'])
        }
        expected = model.receive(each.crashAt)
      }
      expect({ trace, outcome, completed: shop.completed.map(brief) }).toEqual({
        trace,
        outcome: expected,
        completed: model.completed.map(brief),
      })
    }
    expect(shop.violations).toEqual([])
    expect(new Set(shop.completed.map(({ key }) => key)).size).toBe(shop.completed.length)
    expect(await shop.status()).toBe(model.status)
    const sent = steps.map(sentBy).filter((each) => each !== undefined)
    if (sent.some(({ status }) => status === 'success')) {
      expect(await shop.contradict()).toMatchObject({ outcome: 'conflict' })
    }
    const { says, is } = await shop.counted()
    expect({ trace, ...says }).toEqual({ trace, ...is })
  } finally {
    await shop.close()
    await storage.dispose()
  }
}

/** The `previous` of a plain fail that is replayed after a later success is not compared: that success has replaced it. */
function brief({ key, previous }: Completed): Completed {
  return { key, previous: key === 'fail' ? undefined : previous }
}

function sqliteStorage(): Storage {
  const folder = temporaryFolder()
  const file = folder.file('inbox.db')
  let offset = 0
  return {
    open: () =>
      new DurableInbox(
        new SqliteStore(openSqlite(file), {
          wall: () => Date.now() + offset,
          elapsed: () => performance.now() + offset,
        }),
      ),
    silence: () => {
      const db = openFile(file)
      db.exec('DELETE FROM conversion_webhook_workers')
      db.close()
      return Promise.resolve()
    },
    jump: (hours) => {
      offset += hours * 3_600_000
    },
    ask: (sql) => {
      const db = openFile(file)
      const rows = db.prepare(sql('conversion_webhook_')).all()
      db.close()
      return Promise.resolve(rows)
    },
    dispose: () => Promise.resolve(folder.remove()),
  }
}

const describeDurable = hasSqlite ? describe : describe.skip

describeDurable('random lives of a conversion are those of the model', () => {
  const lives = fc.array(step, { minLength: 1, maxLength: 8 })

  test('on SQLite', async () => {
    await fc.assert(
      fc.asyncProperty(lives, (steps) => inTime(live(sqliteStorage(), steps))),
      { numRuns: cases(100), endOnFailure: true },
    )
  }, 120_000)

  describe('on PostgreSQL', () => {
    let server: Server
    let client: Client
    let count = 0
    beforeAll(async () => {
      server = await startServer()
      client = new Client({ connectionString: server.url })
      await client.connect()
    })
    afterAll(async () => {
      await client.end()
      await server.stop()
    })

    const postgresStorage = (): Storage => {
      const schema = `life_${String(++count)}`
      return {
        open: () => postgresInbox({ connectionString: server.url, schema }),
        silence: () => client.query(`UPDATE ${schema}.job SET state = 'retry' WHERE state = 'active'`),
        jump: () => undefined, // deliveries are due by the server's clock
        ask: async (sql) => (await client.query<Record<string, unknown>>(sql(`${schema}.`))).rows,
        dispose: async () => {
          await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
        },
      }
    }

    test('with its jobs', async () => {
      await fc.assert(
        fc.asyncProperty(lives, (steps) => inTime(live(postgresStorage(), steps))),
        { numRuns: cases(12), endOnFailure: true },
      )
    }, 120_000)
  })
})
