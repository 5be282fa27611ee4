import { readFileSync } from 'node:fs'
import type { ConversionContext, Inbox } from '../../lib/index.js'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { durableBudget } from '../../lib/inbox/quarantine.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import type { SqliteCommit } from '../../lib/sqlite.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'
import { describeClaims } from './claims.js'
import { describeConversions } from './conversions.js'
import { describeDamaged } from './damaged.js'
import { describeDates } from './dates.js'
import { describeDurability } from './durability.js'
import { describeErasing } from './erasing.js'
import { describeHostile } from './hostile.js'
import type { Damage, Kind } from './inboxes.js'
import { describeOperators } from './operators.js'
import { describeQuarantine } from './quarantine.js'
import { describeStrangers } from './strangers.js'
import { describeStuck } from './stuck.js'

const whose: Readonly<Record<Damage['table'], string>> = {
  claims: 'WHERE id = ?',
  deliveries: 'WHERE claim = (SELECT number FROM conversion_webhook_claims WHERE id = ?)',
  quarantine: 'WHERE id = ?',
  days: '',
}
const idsFor = (table: Damage['table'], id: string) => (table === 'days' ? [] : [id])

const sqlite: Kind = {
  isDurable: true,
  storage: (budget = durableBudget) => {
    const folder = temporaryFolder()
    const file = folder.file('inbox.db')
    let passedMs = 0
    const clocks = { wall: () => Date.now() + passedMs, elapsed: () => performance.now() + passedMs }
    return Promise.resolve({
      open: () => Promise.resolve<Inbox>(new DurableInbox(new SqliteStore(openSqlite(file), clocks, budget))),
      dispose: () => Promise.resolve(folder.remove()),
      contents: () => Promise.resolve(['', '-wal'].map((end) => readFileSync(`${file}${end}`).toString()).join('')),
      effect: (context, key, then) =>
        (context as ConversionContext<SqliteCommit>).commit((db) => {
          db.exec('CREATE TABLE IF NOT EXISTS effects (key TEXT)')
          db.prepare('INSERT INTO effects VALUES (?)').run(key)
          then?.()
          return key
        }),
      pass: (ms) => {
        passedMs += ms
        return Promise.resolve()
      },
      effects: (key) => {
        const db = openFile(file)
        try {
          if (!db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'effects'").get()) return Promise.resolve(0)
          return Promise.resolve(Number(db.prepare('SELECT count(*) AS n FROM effects WHERE key = ?').get(key)?.n))
        } finally {
          db.close()
        }
      },
      damage: ({ table, column, value }, id) => {
        const db = openFile(file)
        db.prepare(`UPDATE conversion_webhook_${table} SET ${column} = ? ${whose[table]}`).run(
          value,
          ...idsFor(table, id),
        )
        db.close()
        return Promise.resolve()
      },
      damaged: ({ table }, id) => {
        const db = openFile(file)
        const rows = db.prepare(`SELECT * FROM conversion_webhook_${table} ${whose[table]}`).all(...idsFor(table, id))
        db.close()
        return Promise.resolve(rows)
      },
    })
  },
}

const describeSqlite = hasSqlite ? describe : describe.skip

describeSqlite('sqliteInbox', () => {
  describe('conversions', () => describeConversions(sqlite))
  describe('claims', () => describeClaims(sqlite))
  describe('operators', () => describeOperators(sqlite))
  describe('erasing', () => describeErasing(sqlite))
  describe('hostile arguments', () => describeHostile(sqlite))
  describe('quarantine', () => describeQuarantine(sqlite))
  describe('a stuck handler', () => describeStuck(sqlite))
  describe('strangers', () => describeStrangers(sqlite))
  describe('durability', () => describeDurability(sqlite))
  describe('damaged rows', () => describeDamaged(sqlite))
  describe('dates', () => describeDates(sqlite))
})
