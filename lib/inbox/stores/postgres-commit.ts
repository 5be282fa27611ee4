import { setTimeout as wait } from 'node:timers/promises'
import { storageError } from '../../errors.js'
import { transactionEnded } from '../store.js'
import { begin, limits, transactWithinMs, type Connections } from './postgres-connections.js'
import { codeOf, inOrder, type PostgresConnection, type Queryable } from './postgres-client.js'
import { commitClient, invalidCommit, type PostgresClient } from './postgres-commit-client.js'
import { savepoint } from './postgres-statements.js'
import type { PostgresParts } from './postgres-open.js'

const asksOften = 20
const askAgainMs = 1_000
const hasEndedWithinMs = 2_000

/** SQLSTATE codes. */
const inFailedTransaction = '25P02'
const noTransaction = '25P01'
const noSuchSavepoint = '3B001'
const noSuchId = '22023' // of a transaction: the server has not given it yet

interface Failure {
  readonly error: unknown
}

/** What a user's function came to. */
interface Ran {
  readonly failure: Failure | undefined
  readonly mayHaveEnded: boolean
}

/**
 * Runs a user's function and then `settle` in one transaction: both or neither. The function takes as long as it likes, until `closing`
 * is aborted. Rejects with what it threw, or the reason of that signal; with `ERR_CONVERSION_COMMIT_INVALID` where it did what cannot be
 * part of the transaction, or ended it (`isTransactionEnded`); with the coded error of a storage that failed.
 */
export async function commitTransaction<T>(
  { commits, connections }: Pick<PostgresParts, 'commits' | 'connections'>,
  effect: (client: PostgresClient) => unknown,
  settle: (client: Queryable) => Promise<T>,
  closing: AbortSignal,
): Promise<T> {
  let id: unknown
  let ran: Ran | undefined
  let failure: Failure | undefined
  let hasEnded: boolean | undefined
  try {
    return await commits.use(async (connection) => {
      id = await commits.inTime(beginCommit(connection))
      ran = await run(connection, effect, { connections, id, closing })
      failure = ran.failure ?? (await leave(connection, commits))
      // A connection that is lost from here on leaves both or neither: what is recorded of the delivery says which.
      if (failure === undefined) return commits.inTime(settleAndCommit(connection, settle))
      hasEnded = await hasEndedOn(connection, commits)
      throw failure.error
    })
  } catch (error) {
    if (failure === undefined) throw storageError(error)
    if (hasEnded ?? (ran?.mayHaveEnded === true && (await mayHaveCommitted(connections, id)))) {
      throw transactionEnded(ran?.failure && { cause: ran.failure.error })
    }
    throw failure.error
  }
}

/** Begins the transaction and gives its id. The savepoint shows, also after a statement has failed, whether it is still the same one. */
async function beginCommit(connection: Queryable): Promise<unknown> {
  const result = await connection.query(`${begin()}; SELECT pg_current_xact_id()::text AS id; SAVEPOINT ${savepoint}`)
  return [result]
    .flat()
    .flatMap(({ rows }) => rows)
    .find((row) => 'id' in row)?.id // one result a statement
}

async function run(
  connection: PostgresConnection,
  effect: (client: PostgresClient) => unknown,
  { connections, id, closing }: { connections: Connections; id: unknown; closing: AbortSignal },
): Promise<Ran> {
  closing.throwIfAborted()
  const { client, silentSince, mayHaveEnded, close } = commitClient(connection)
  let failure: Failure | undefined
  let lost: Failure | undefined
  try {
    await endOf(
      () => effect(client),
      closing,
      (giveUp) =>
        watch(connections, id, silentSince, () => {
          lost = { error: storageError(connections.lost()) }
          giveUp()
        }),
    )
  } catch (error) {
    failure = { error }
  }
  const fault = close(failure !== undefined || lost !== undefined)
  closing.throwIfAborted() // whatever the function came to
  if (fault !== undefined) failure = { error: invalidCommit(fault, failure && { cause: failure.error }) }
  return { failure: lost ?? failure, mayHaveEnded: mayHaveEnded() }
}

/** Settles as the function does, or resolves when the signal is aborted or its connection is lost: the function may never end. */
function endOf(
  run: () => unknown,
  signal: AbortSignal,
  watching: (giveUp: () => void) => { stop(): void },
): Promise<unknown> {
  return new Promise<unknown>((resolve, reject) => {
    const giveUp = (): void => {
      watched.stop()
      signal.removeEventListener('abort', giveUp)
      resolve(undefined)
    }
    const watched = watching(giveUp)
    signal.addEventListener('abort', giveUp)
    void Promise.resolve().then(run).then(resolve, reject).finally(giveUp)
  })
}

/** Ends the savepoint, after everything that the function sent and did not await. From here on time is limited, as everywhere. */
async function leave(connection: Queryable, connections: Connections): Promise<Failure | undefined> {
  try {
    await connections.inTime(connection.query(`RELEASE SAVEPOINT ${savepoint}; ${limits(transactWithinMs)}`))
    return undefined
  } catch (error) {
    const hasFailed = codeOf(error) === inFailedTransaction
    return { error: hasFailed ? invalidCommit('failed', { cause: error }) : storageError(error) }
  }
}

async function settleAndCommit<T>(connection: Queryable, settle: (client: Queryable) => Promise<T>): Promise<T> {
  const result = await inOrder(connection, settle)
  await connection.query('COMMIT')
  return result
}

/** Whether the transaction of a connection is over; undefined where the connection does not say. */
async function hasEndedOn(connection: Queryable, connections: Connections): Promise<boolean | undefined> {
  try {
    await connections.inTime(connection.query(`ROLLBACK TO SAVEPOINT ${savepoint}`), hasEndedWithinMs)
    return false
  } catch (error) {
    const code = codeOf(error)
    return code === noSuchSavepoint || code === noTransaction ? true : undefined
  }
}

/**
 * Whether a transaction may be committed that the function could have ended and whose connection was lost: asked until the server knows,
 * for as long as a lease. Where the server crashed meanwhile, another transaction can have the same id, and have committed: in doubt it is
 * true, since a delivery that is dead is told to a person, and one that is tried again may pay twice.
 */
async function mayHaveCommitted(connections: Connections, id: unknown): Promise<boolean> {
  for (let asked = 1; asked <= asksOften; asked++) {
    try {
      const { rows } = await connections.query('SELECT pg_xact_status($1::text::xid8) AS status', [id])
      if (rows[0]?.status !== 'in progress') return rows[0]?.status !== 'aborted'
    } catch (error) {
      if (codeOf(error) === noSuchId) return false // its server crashed, and never wrote it
      // Otherwise the server is away; nothing can be recorded either.
    }
    await wait(askAgainMs, undefined, { ref: false })
  }
  return true
}

const lookMs = 5_000
const answerWithinMs = 5_000

const ofTransaction = 'FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid'

/**
 * Looks after a transaction in which a user's statements take as long as they like. Where one of them waits for the server, and the server
 * waits for us, the network has swallowed something: `onLost` is called, once. The server's side is ended, since its locks would outlive
 * the connection by hours.
 */
function watch(
  connections: Connections,
  id: unknown,
  silentSince: () => number | undefined,
  onLost: () => void,
): { stop(): void } {
  let isLooking = false
  const timer = setInterval(() => {
    const since = silentSince()
    if (isLooking || since === undefined || performance.now() - since < lookMs) return
    isLooking = true
    isLost(connections, id)
      .then(
        (lost) => {
          if (!lost || silentSince() !== since) return
          clearInterval(timer)
          end(connections, id)
          onLost()
        },
        () => undefined, // asked again
      )
      .finally(() => {
        isLooking = false
      })
  }, lookMs).unref()
  return {
    stop: () => {
      clearInterval(timer)
    },
  }
}

async function isLost(connections: Connections, id: unknown): Promise<boolean> {
  const { rows } = await connections.query(
    `SELECT state, extract(epoch FROM clock_timestamp() - state_change) * 1000 AS ms ${ofTransaction}`,
    [id],
    answerWithinMs,
  )
  const [row] = rows
  if (row === undefined) return true // it is over there
  return typeof row.state === 'string' && row.state.startsWith('idle in transaction') && Number(row.ms) > lookMs
}

function end(connections: Connections, id: unknown): void {
  connections.query(`SELECT pg_terminate_backend(pid) ${ofTransaction}`, [id], answerWithinMs).catch(() => undefined)
}
