import type { Connections } from './postgres-connections.js'

const lookMs = 5_000
const answerWithinMs = 5_000

const ofTransaction = 'FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid'

/**
 * Looks after a transaction in which a user's statements take as long as they like. Where one of them waits for the server, and the server
 * waits for us, the network has swallowed something: `onLost` is called, once. The server's side is ended, since its locks would outlive
 * the connection by hours.
 */
export function watch(
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
