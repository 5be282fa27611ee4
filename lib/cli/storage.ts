import { existsSync } from 'node:fs'
import type { Inbox } from 'conversion-webhook'
import { postgresInbox } from 'conversion-webhook/postgres'
import { sqliteInbox } from 'conversion-webhook/sqlite'
import { failure, textOf } from './io.js'

/**
 * Opens the inbox of a SQLite file or a PostgreSQL database, and never creates one. Throws a failure if the storage holds no inbox, and
 * the coded errors of the inboxes.
 */
export async function openInbox(storage: string, { schema }: { readonly schema?: string }): Promise<Inbox> {
  if (!/^postgres(ql)?:\/\//.test(storage)) {
    if (!(await hasSqliteTables(storage))) throw failure(`${storage} holds no inbox`)
    return sqliteInbox(storage)
  }
  const inbox = postgresInbox({ connectionString: storage, schema })
  try {
    const name = schema ?? 'conversion_webhook'
    if (await hasPostgresTables(storage, name)) return inbox
    throw failure(`the database holds no inbox in its schema ${name}`)
  } catch (error) {
    await inbox.close()
    throw error
  }
}

async function hasSqliteTables(file: string): Promise<boolean> {
  if (!existsSync(file)) throw failure(`there is no file ${file}`)
  try {
    const { DatabaseSync } = await import('node:sqlite')
    const db = new DatabaseSync(file, { readOnly: true })
    try {
      return db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'conversion_webhook_schema'").get() !== undefined
    } finally {
      db.close()
    }
  } catch {
    return true // sqliteInbox throws a coded error for a file that cannot be read
  }
}

async function hasPostgresTables(connectionString: string, schema: string): Promise<boolean> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 })
  try {
    await client.connect()
    const table = `${schema}.deliveries`
    const { rows } = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [table])
    return rows[0]?.found === true
  } catch (error) {
    throw failure(`the database cannot be queried: ${textOf(error)}`)
  } finally {
    await client.end().catch(() => undefined)
  }
}
