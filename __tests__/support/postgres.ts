import { hasSqlite } from './sqlite.js'

export interface Server {
  readonly url: string
  start(): Promise<void>
  halt(): Promise<void>
  crash(): Promise<void>
  stop(): Promise<void>
}

/** Whether this Node runs pg-boss 12: it wants the same versions as node:sqlite. */
export const hasPostgres = hasSqlite

/** A PostgreSQL server of the test's own. */
export function startServer(settings: readonly string[] = []): Promise<Server> {
  const { nativeRequire } = globalThis as unknown as { nativeRequire: NodeJS.Require }
  const { startPostgres } = nativeRequire('../../scripts/postgres.mjs') as {
    startPostgres: (options: { settings: readonly string[] }) => Promise<Server>
  }
  return startPostgres({ settings })
}
