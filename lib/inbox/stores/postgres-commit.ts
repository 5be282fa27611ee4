import { setTimeout as wait } from 'node:timers/promises'
import { storageError } from '../../errors.js'
import { transactionEnded } from '../store.js'
import { begin, limits, transactWithinMs, type Connections } from './postgres-connections.js'
import { codeOf, committed, type PostgresConnection, type Queryable } from './postgres-client.js'
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
const noSuchId = '22023' // the server has not given this transaction id yet

interface Failure {
  readonly error: unknown
}

/**
 * Runs a user's function and then `settle` in one transaction: both or neither. The function has no time limit, until `closing` is aborted.
 * Rejects with the function's error or the reason of `closing`; with `ERR_CONVERSION_COMMIT_INVALID` if the function sent a statement that
 * cannot be part of the transaction, or ended it (`isTransactionEnded`); with a coded error if the storage failed.
 */
export async function commitTransaction<T>(
  { commits, connections }: Pick<PostgresParts, 'commits' | 'connections'>,
  effect: (client: PostgresClient) => unknown,
  settle: (client: Queryable) => Promise<T>,
  closing: AbortSignal,
): Promise<T> {
  let id: unknown
  let ran: Awaited<ReturnType<typeof run>> | undefined
  let failure: Failure | undefined
  let hasEnded: boolean | undefined
  try {
    return await commits.use(async (connection) => {
      id = await commits.inTime(beginCommit(connection))
      ran = await run(connection, effect, { connections, id, closing })
      failure = ran.failure ?? (await leave(connection, commits))
      // If the connection is lost from here on, both are committed or neither is; the delivery's row tells which.
      if (failure === undefined) return commits.inTime(committed(connection, settle))
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

/** Begins the transaction and returns its id. The savepoint shows whether it is still the same transaction, even after a failed statement. */
async function beginCommit(connection: Queryable): Promise<unknown> {
  const result = await connection.query(`${begin()}; SELECT pg_current_xact_id()::text AS id; SAVEPOINT ${savepoint}`)
  return [result]
    .flat()
    .flatMap(({ rows }) => rows)
    .find((row) => 'id' in row)?.id // pg returns one result for each statement
}

async function run(
  connection: PostgresConnection,
  effect: (client: PostgresClient) => unknown,
  { connections, id, closing }: { connections: Connections; id: unknown; closing: AbortSignal },
) {
  closing.throwIfAborted()
  const { client, silentSince, mayHaveEnded, close } = commitClient(connection)
  let failure: Failure | undefined
  let lost: Failure | undefined
  // Ends also if the signal is aborted or the connection is lost, since the function may never end then.
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearInterval(watching)
      closing.removeEventListener('abort', end)
      resolve()
    }
    const watching = watch(connections, id, silentSince, () => {
      lost = { error: storageError(connections.lost()) }
      end()
    })
    closing.addEventListener('abort', end)
    const failed = (error: unknown): void => {
      failure = { error }
    }
    void Promise.resolve()
      .then(() => effect(client))
      .catch(failed)
      .finally(end)
  })
  const fault = close(failure !== undefined || lost !== undefined)
  closing.throwIfAborted() // however the function ended
  if (fault !== undefined) failure = { error: invalidCommit(fault, failure && { cause: failure.error }) }
  return { failure: lost ?? failure, mayHaveEnded: mayHaveEnded() }
}

/** Releases the savepoint, after the statements that the function did not await. From here on each statement has a time limit. */
async function leave(connection: Queryable, connections: Connections): Promise<Failure | undefined> {
  try {
    await connections.inTime(connection.query(`RELEASE SAVEPOINT ${savepoint}; SELECT ${limits(transactWithinMs)}`))
    return undefined
  } catch (error) {
    const hasFailed = codeOf(error) === inFailedTransaction
    return { error: hasFailed ? invalidCommit('failed', { cause: error }) : storageError(error) }
  }
}

/** Whether the transaction of a connection is over; undefined if the connection cannot tell. */
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
 * Whether a transaction was committed, if the function could have ended it and its connection was lost. Asks until the server knows, for as
 * long as a lease. After a crash of the server another transaction may have the same id. In doubt the answer is true: a person is told of a
 * dead delivery, while a repeated one may pay twice.
 */
async function mayHaveCommitted(connections: Connections, id: unknown): Promise<boolean> {
  for (let asked = 1; asked <= asksOften; asked++) {
    try {
      const { rows } = await connections.query('SELECT pg_xact_status($1::text::xid8) AS status', [id])
      if (rows[0]?.status !== 'in progress') return rows[0]?.status !== 'aborted'
    } catch (error) {
      if (codeOf(error) === noSuchId) return false // the server crashed before it wrote the transaction
      // The server cannot be reached, so nothing can be recorded either.
    }
    await wait(askAgainMs, undefined, { ref: false })
  }
  return true
}

const lookMs = 5_000
const answerWithinMs = 5_000

const ofTransaction = 'FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid'

/**
 * Watches a transaction whose statements have no time limit. If a statement and the server wait for each other, the network has lost a
 * message: `onLost` is called, and stops the timer. The server's session is ended too, since it would keep its locks for hours.
 */
function watch(
  connections: Connections,
  id: unknown,
  silentSince: () => number | undefined,
  onLost: () => void,
): NodeJS.Timeout {
  let isLooking = false
  async function look(): Promise<void> {
    const since = silentSince()
    if (isLooking || since === undefined || performance.now() - since < lookMs) return
    isLooking = true
    try {
      if (!(await isLost(connections, id)) || silentSince() !== since) return
      const end = connections.query(`SELECT pg_terminate_backend(pid) ${ofTransaction}`, [id], answerWithinMs)
      end.catch(() => undefined)
      onLost()
    } catch {
      // Asked again after the next interval.
    } finally {
      isLooking = false
    }
  }
  return setInterval(() => {
    void look()
  }, lookMs).unref()
}

async function isLost(connections: Connections, id: unknown): Promise<boolean> {
  const { rows } = await connections.query(
    `SELECT state, extract(epoch FROM clock_timestamp() - state_change) * 1000 AS ms ${ofTransaction}`,
    [id],
    answerWithinMs,
  )
  const [row] = rows
  // Without a row the session has ended.
  return row === undefined || (String(row.state).startsWith('idle in transaction') && Number(row.ms) > lookMs)
}
