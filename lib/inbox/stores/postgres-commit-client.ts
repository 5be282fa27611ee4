import { EventEmitter } from 'node:events'
import type { PoolClient } from 'pg'
import { ConversionWebhookError, type CommitFault } from '../../errors.js'
import type { PostgresConnection } from './postgres-client.js'
import { controlOf, maySayMore, savepoint } from './postgres-statements.js'

/** What `fn` of `commit` gets where the types of pg are not installed. */
interface BareClient {
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as pg's own types have it
  query<Row = Record<string, unknown>>(
    text: string,
    values?: unknown[],
  ): Promise<{ rows: Row[]; rowCount?: number | null }>
  connect(): Promise<PostgresClient>
  release(error?: Error | boolean): void
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  readonly options: object
}

/**
 * The client that `fn` of `commit` gets: one of the package pg, inside an open transaction, for any library that takes a client or a pool
 * of pg. `BEGIN`, `COMMIT` and `ROLLBACK` become savepoints; `connect()` gives this very client; `release()` and `end()` do nothing; once
 * `fn` has settled, every call rejects. Transactions may be nested, and must not overlap: await one before the next begins.
 */
export type PostgresClient = [PoolClient] extends [0] // which only `any` does
  ? BareClient
  : { connect(): Promise<PostgresClient>; readonly options: object } & PoolClient

const forwarded = ['error', 'notice', 'notification', 'drain', 'end']

/** A client over a connection on which a transaction of ours is open. Nothing that is sent through it, but several statements in one string, ends that. */
export function commitClient(connection: PostgresConnection) {
  const unanswered = new Unanswered()
  const savepoints = new Savepoints((text) => unanswered.track(connection.query(text)))
  const send = (connection.query as (...args: unknown[]) => unknown).bind(connection)
  let fault: CommitFault | undefined
  let mayHaveEnded = false
  let isClosed = false

  function query(...args: unknown[]): unknown {
    const { text, callback, isSubmittable } = readQuery(args)
    const found = typeof text === 'string' ? controlOf(text) : undefined
    const control = isSubmittable && found ? 'refuse' : found // nothing else can be sent in its place
    fault ??= faultOf(control)
    const invalid = isClosed ? 'settled' : fault
    if (invalid !== undefined && isSubmittable) throw invalidCommit(invalid) // it has no promise to reject
    if (invalid !== undefined) return answer(Promise.reject(invalidCommit(invalid)), callback)
    if (control !== undefined && control !== 'refuse') return answer(savepoints[control](), callback)
    mayHaveEnded ||= isSubmittable || typeof text !== 'string' || maySayMore(text)
    const result: unknown = send(...args.map((each) => (isCallback(each) ? unanswered.calling(each) : each)))
    // A statement that nobody awaits fails with the whole transaction, and not with the process.
    if (result instanceof Promise) unanswered.track(result).catch(ignore)
    return result
  }

  function faultOf(control: ReturnType<typeof controlOf>): CommitFault | undefined {
    if (control === 'refuse') return 'cannotNest'
    if (control === 'begin' && savepoints.isChanging) return 'overlaps'
    if ((control === 'commit' || control === 'rollback') && savepoints.depth === 0) return 'endsOurs'
    return undefined
  }

  const own = Object.assign(new EventEmitter(), {
    query,
    connect(callback?: (error: unknown, client: unknown, done: () => void) => void) {
      const error = isClosed ? invalidCommit('settled') : undefined
      if (callback === undefined) return error ? Promise.reject(error) : Promise.resolve(client)
      process.nextTick(callback, error, error ? undefined : client, ignore)
      return undefined
    },
    release: ignore,
    end(callback?: () => void) {
      if (callback === undefined) return Promise.resolve()
      process.nextTick(callback)
      return undefined
    },
    options: {},
  })
  const forwards = forwarded.map((event) => {
    const forward = (...args: unknown[]): void => {
      if (own.listenerCount(event) > 0) own.emit(event, ...args)
    }
    return [event, forward] as const
  })
  for (const [event, forward] of forwards) emitterOf(connection).on(event, forward)

  // What is not the client's own is the connection's. Listeners and properties that libraries set go with the client.
  const client: unknown = new Proxy(own, {
    get(target, name, receiver) {
      if (name in target) return Reflect.get(target, name, receiver) as unknown
      if (name === 'connection') mayHaveEnded = true // the protocol itself: nobody sees what is sent
      const value: unknown = Reflect.get(connection, name)
      return typeof value === 'function' ? (value.bind(connection) as unknown) : value
    },
  })

  return {
    client: client as PostgresClient, // a proxy has the type of its target; this one has every member of the connection
    /** Since when a statement waits and nothing is heard of the server, by the clock of `performance`. */
    silentSince: (): number | undefined => unanswered.since,
    /** Whether something was sent that could have ended the transaction, unseen. */
    mayHaveEnded: (): boolean => mayHaveEnded,
    /** Closes the client; what `fn` did wrong, if anything. One that failed may leave a transaction open. */
    close: (hasFailed: boolean): CommitFault | undefined => {
      isClosed = true
      for (const [event, forward] of forwards) emitterOf(connection).off(event, forward)
      return fault ?? (savepoints.depth > 0 && !hasFailed ? 'open' : undefined)
    },
  }
}

export function invalidCommit(why: CommitFault, details: { readonly cause?: unknown } = {}): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_COMMIT_INVALID', { values: { why }, ...details })
}

/** The forms of pg's own `query`: text or config, values, callback; or an object that submits itself, as cursors do. */
function readQuery([first, values, last]: readonly unknown[]) {
  const config = typeof first === 'object' && first !== null ? first : { text: first }
  const callback = [values, last, 'callback' in config ? config.callback : undefined].find(isCallback)
  return {
    text: 'text' in config ? config.text : undefined,
    callback,
    isSubmittable: 'submit' in config && typeof config.submit === 'function',
  }
}

function isCallback(value: unknown): value is Callback {
  return typeof value === 'function'
}

/** In the form that was asked for: a promise, or a call back. */
function answer(result: Promise<unknown>, callback: Callback | undefined): Promise<unknown> | undefined {
  if (callback === undefined) {
    result.catch(ignore)
    return result
  }
  result.then(
    (value) => {
      process.nextTick(callback, null, value)
    },
    (error: unknown) => {
      process.nextTick(callback, error)
    },
  )
  return undefined
}

function emitterOf(connection: object) {
  return connection as Pick<EventEmitter, 'on' | 'off'>
}

function ignore(): void {
  // Nothing to do, or nobody to tell.
}

type Callback = (error: unknown, result?: unknown) => void

/** What was sent on a connection and is not answered yet. */
class Unanswered {
  #count = 0
  #since = 0

  /** By the clock of `performance`: when something was sent or heard last, while an answer is missing. */
  get since(): number | undefined {
    return this.#count > 0 ? this.#since : undefined
  }

  track<T>(answer: Promise<T>): Promise<T> {
    const heard = this.#sent()
    answer.then(heard, heard)
    return answer
  }

  calling(callback: Callback): Callback {
    const heard = this.#sent()
    return (...results) => {
      heard()
      callback(...results)
    }
  }

  #sent(): () => void {
    if (this.#count++ === 0) this.#since = performance.now()
    return () => {
      this.#count--
      this.#since = performance.now()
    }
  }
}

/** Transactions of a library inside ours: savepoints, one in the other, each with a name of its own. */
class Savepoints {
  readonly #send: (text: string) => Promise<unknown>
  #open: readonly string[] = []
  #begun = 0
  #unanswered = 0

  constructor(send: (text: string) => Promise<unknown>) {
    this.#send = send
  }

  /** How many are open, with all that was sent. */
  get depth(): number {
    return this.#open.length
  }

  /** Whether one is open, and a statement that opens or ends one is unanswered: who begins another now does not wait for it. */
  get isChanging(): boolean {
    return this.depth > 0 && this.#unanswered > 0
  }

  begin(): Promise<unknown> {
    const name = `${savepoint}_${String(++this.#begun)}`
    this.#open = [...this.#open, name]
    return this.#answer(`SAVEPOINT ${name}`, () => {
      this.#open = this.#open.filter((each) => each !== name)
    })
  }

  /** Rejects in a transaction that a failed statement has aborted, where PostgreSQL itself would roll back and report success. */
  commit(): Promise<unknown> {
    const name = this.#close()
    return this.#answer(`RELEASE SAVEPOINT ${name}`, () => {
      this.#open = [...this.#open, name] // libraries roll back then
    })
  }

  /** Both statements in one message: pg warns of a statement that is sent while another one of its connection waits to be sent. */
  async rollback(): Promise<unknown> {
    const name = this.#close()
    const results = await this.#answer(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`)
    return Array.isArray(results) ? results[0] : results
  }

  #close(): string {
    const name = this.#open.at(-1)
    if (name === undefined) throw new Error('no transaction of a library is open')
    this.#open = this.#open.slice(0, -1)
    return name
  }

  async #answer(text: string, undo?: () => void): Promise<unknown> {
    this.#unanswered++
    try {
      return await this.#send(text)
    } catch (error) {
      undo?.()
      throw error
    } finally {
      this.#unanswered--
    }
  }
}
