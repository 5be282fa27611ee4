/*
 * Why: the kills of the other runs prove something only if the steps are where their names say. A server dies at each step of one conversion,
 * and the script prints what is left in the database.
 *
 * `node __tests__/crash/steps.mjs [--inbox sqlite|postgres]`
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client } from './client.mjs'
import { steps } from './deaths.mjs'
import { announcements } from './payments.mjs'
import { Servers } from './servers.mjs'
import { openStorage } from './storage.mjs'

/** How long a server may take to reach its step before it is killed. */
const maxMs = 20_000

const { values } = parseArgs({ options: { inbox: { type: 'string', default: 'sqlite' } } })
const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-crash-'))
const storage = await openStorage(values.inbox, join(folder, 'inbox.db'))
const client = new Client()
const left = {}
try {
  for (const [index, dieAt] of steps.entries()) {
    const log = join(folder, `announced-${index}`)
    const servers = new Servers({ ...storage.options, shop: 'bound', log, dieAt })
    try {
      const { port, gone } = await servers.start()
      await client.send(port, 1_000 + index, 'honest')
      await Promise.race([gone, wait(maxMs, undefined, { ref: false })])
    } finally {
      await servers.close()
    }
    const { done, left: waiting } = await storage.events()
    left[dieAt] = {
      recorded: done.length + waiting.length,
      reserved: await storage.reserved(),
      paid: (await storage.rewards()).length,
      announced: announcements(log).filter(({ what }) => what === 'did').length,
      done,
      miscounts: await storage.miscounts(),
    }
    await storage.clear()
  }
  console.log(JSON.stringify(left))
} finally {
  client.close()
  await storage.close()
  rmSync(folder, { recursive: true, force: true })
}
