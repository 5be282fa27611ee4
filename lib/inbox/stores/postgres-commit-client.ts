import { EventEmitter } from 'node:events'
import { callbackify } from 'node:util'
import type { PoolClient } from 'pg'
import { ConversionWebhookError, type CommitFault } from '../../errors.js'
import { ignore, type PostgresConnection } from './postgres-client.js'
import { controlOf, maySayMore, savepoint } from './postgres-statements.js'

/** The type of the client if the types of pg are not installed. */
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

/** A client over a connection in an open transaction of ours. Only a string with several statements can end that transaction. */
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
    const control = isSubmittable && found ? 'refuse' : found // no savepoint can be sent in place of an object that submits itself
    fault ??= faultOf(control)
    const invalid = isClosed ? 'settled' : fault
    if (invalid !== undefined && isSubmittable) throw invalidCommit(invalid) // an object that submits itself has no promise to reject
    if (invalid !== undefined) return answer(Promise.reject(invalidCommit(invalid)), callback)
    if (control !== undefined && control !== 'refuse') return answer(savepoints[control](), callback)
    mayHaveEnded ||= isSubmittable || typeof text !== 'string' || maySayMore(text)
    const result: unknown = send(...args.map((each) => (isCallback(each) ? unanswered.calling(each) : each)))
    // The rejection of a statement that nobody awaits would end the process; the transaction fails all the same.
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
  const emitter = connection as Pick<EventEmitter, 'on' | 'off'>
  const stops = forwarded.map((event) => {
    const forward = (...args: unknown[]): void => {
      if (own.listenerCount(event) > 0) own.emit(event, ...args)
    }
    emitter.on(event, forward)
    return () => emitter.off(event, forward)
  })

  // Other members are the connection's. What libraries set, such as listeners, is set on this client alone.
  const client: unknown = new Proxy(own, {
    get(target, name, receiver) {
      if (name in target) return Reflect.get(target, name, receiver) as unknown
      if (name === 'connection') mayHaveEnded = true // what is sent by the protocol itself is not seen here
      const value: unknown = Reflect.get(connection, name)
      return typeof value === 'function' ? (value.bind(connection) as unknown) : value
    },
  })

  return {
    client: client as PostgresClient, // a proxy has the type of its target; this one has every member of the connection
    /** Since when a statement waits without a byte from the server, by `performance.now()`. */
    silentSince: (): number | undefined => unanswered.since,
    /** Whether a statement that is not seen here could have ended the transaction. */
    mayHaveEnded: (): boolean => mayHaveEnded,
    /** Closes the client. Returns what `fn` did wrong, if anything. A function that failed may leave a transaction open. */
    close: (hasFailed: boolean): CommitFault | undefined => {
      isClosed = true
      for (const stop of stops) stop()
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

/** Answers in the form that was asked for: a promise or a callback function. */
function answer(result: Promise<unknown>, callback: Callback | undefined): Promise<unknown> | undefined {
  if (callback === undefined) {
    result.catch(ignore)
    return result
  }
  callbackify(() => result)(callback)
  return undefined
}

type Callback = (error: unknown, result?: unknown) => void

/** Counts the statements on a connection that are not answered yet. */
class Unanswered {
  #count = 0
  #since = 0

  /** When a byte was sent or received last, by `performance.now()`; undefined while no answer is missing. */
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

interface Savepoint {
  readonly name: string
  /** Until its own statement fails. */
  isMade: boolean
}

/** A library's transactions inside of ours: nested savepoints, each with a name of its own. */
class Savepoints {
  readonly #send: (text: string) => Promise<unknown>
  /** If all statements that were sent succeed. */
  #open: readonly Savepoint[] = []
  #begun = 0
  #unanswered = 0

  constructor(send: (text: string) => Promise<unknown>) {
    this.#send = send
  }

  get depth(): number {
    return this.#open.length
  }

  /** Whether a savepoint is open while a statement that opens or ends one is unanswered: to begin another one now overlaps. */
  get isChanging(): boolean {
    return this.depth > 0 && this.#unanswered > 0
  }

  begin(): Promise<unknown> {
    const made = { name: `${savepoint}_${String(++this.#begun)}`, isMade: true }
    this.#open = [...this.#open, made]
    return this.#answer(`SAVEPOINT ${made.name}`, () => {
      made.isMade = false
      this.#open = this.#open.filter((each) => each !== made)
    })
  }

  /** Rejects if a failed statement has aborted the transaction: PostgreSQL itself would roll back and report success. */
  commit(): Promise<unknown> {
    const last = this.#close()
    return this.#answer(`RELEASE SAVEPOINT ${last.name}`, () => {
      if (last.isMade) this.#open = [...this.#open, last] // libraries roll back after a failed COMMIT
    })
  }

  /** Sends both statements in one message: pg warns if a statement is sent while another one waits to be sent. */
  async rollback(): Promise<unknown> {
    const { name } = this.#close()
    const results = await this.#answer(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`)
    return Array.isArray(results) ? results[0] : results
  }

  #close(): Savepoint {
    const last = this.#open.at(-1)
    if (last === undefined) throw new Error('no transaction of a library is open')
    this.#open = this.#open.slice(0, -1)
    return last
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
