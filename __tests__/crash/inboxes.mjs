import { Death } from './deaths.mjs'
import { watchThreads } from './thread-deaths.mjs'

/** Opens the inbox of a crash test, `{ inbox, file | url }`. A `death` watches the inbox and kills the process at its step. */
export async function openInbox({ inbox: kind, file, url }, death = new Death()) {
  if (kind === 'sqlite') {
    if (death.at) await death.watchSqlite()
    if (death.at) watchThreads(death.at)
    return (await import('conversion-webhook/sqlite')).sqliteInbox(file)
  }
  const { postgresInbox } = await import('conversion-webhook/postgres')
  return postgresInbox(death.at ? { pool: await death.pool(url) } : { connectionString: url })
}
