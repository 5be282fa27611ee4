import { Client } from 'pg'
import { hasSqlite } from './sqlite.js'

export interface Server {
  readonly url: string
  start(): Promise<void>
  halt(): Promise<void>
  crash(): Promise<void>
  stop(): Promise<void>
}

/** Whether this Node can run pg-boss 12, which needs the same versions as node:sqlite. */
export const hasPostgres = hasSqlite

/** Starts a PostgreSQL server for one test file. */
export function startServer(settings: readonly string[] = []): Promise<Server> {
  const { nativeRequire } = globalThis as unknown as { nativeRequire: NodeJS.Require }
  const { startPostgres } = nativeRequire('../../scripts/postgres.mjs') as {
    startPostgres: (options: { settings: readonly string[] }) => Promise<Server>
  }
  return startPostgres({ settings })
}

/** A server and a client for the tests of a block. Both exist from its first test to its last. */
export function serving(settings: readonly string[] = []) {
  let started: { readonly server: Server; readonly client: Client } | undefined
  beforeAll(async () => {
    const server = await startServer(settings)
    started = { server, client: new Client({ connectionString: server.url }) }
    await started.client.connect()
  })
  afterAll(async () => {
    await started?.client.end()
    await started?.server.stop()
  })
  const there = () => {
    if (started === undefined) throw new Error('The server is started before the first test.')
    return started
  }
  return {
    get url() {
      return there().server.url
    },
    get client() {
      return there().client
    },
  }
}
