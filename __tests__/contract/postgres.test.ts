import { Client } from 'pg'
import type { ConversionContext, Inbox } from '../../lib/index.js'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { durableBudget, type Size } from '../../lib/inbox/quarantine.js'
import { openPostgres, requireDrivers } from '../../lib/inbox/stores/postgres-open.js'
import { PostgresStore } from '../../lib/inbox/stores/postgres.js'
import type { PostgresCommit } from '../../lib/postgres.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
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

let server: Server
let count = 0

const whose = (table: Damage['table']) => (table === 'deliveries' ? 'claim' : 'id')

const postgres: Kind = {
  isDurable: true,
  runs: 6,
  storage: async (budget = durableBudget) => {
    const schema = `test_${String(++count)}`
    const client = new Client({ connectionString: server.url })
    await client.connect()
    await client.query(`CREATE TABLE effects_${schema} (key text)`)
    return {
      open: () => {
        const options = { connectionString: server.url, schema, onError: () => undefined }
        const open = (quarantineBudget: Size, closing: AbortSignal) =>
          openPostgres(requireDrivers(), { ...options, quarantineBudget }, closing)
        return Promise.resolve<Inbox>(new DurableInbox(new PostgresStore(open, budget)))
      },
      dispose: () => client.end(),
      contents: async () => {
        const { rows } = await client.query<{ table: string }>(
          `SELECT format('%I.%I', table_schema, table_name) AS table FROM information_schema.tables WHERE table_schema = $1`,
          [schema],
        )
        const texts = []
        for (const { table } of rows) texts.push((await client.query(`SELECT t::text FROM ${table} t`)).rows)
        return JSON.stringify(texts)
      },
      effect: (context, key, then) =>
        (context as ConversionContext<PostgresCommit>).commit(async (tx) => {
          await tx.query(`INSERT INTO effects_${schema} VALUES ($1)`, [key])
          then?.()
          return key
        }),
      // The server's clock cannot be set: what is stored grows older instead.
      pass: async (ms) => {
        const columns = ['due_at', 'held_until', 'held_since', 'first_date']
        const older = columns.map((column) => `${column} = ${column} - ${String(ms)}`).join(', ')
        await client.query(`
          BEGIN;
          UPDATE ${schema}.deliveries SET ${older} WHERE state = 'waiting' AND due_at > 0;
          UPDATE ${schema}.job SET start_after = start_after - ${String(ms)} * interval '1 ms' WHERE state = 'created';
          COMMIT`)
      },
      effects: async (key) => {
        const { rows } = await client.query<{ n: string }>(
          `SELECT count(*) AS n FROM effects_${schema} WHERE key = $1`,
          [key],
        )
        return Number(rows[0]?.n)
      },
      damage: async ({ table, column, value }, id) => {
        const all = `UPDATE ${schema}.${table} SET ${column} = $1`
        await (table === 'days'
          ? client.query(all, [value])
          : client.query(`${all} WHERE ${whose(table)} = $2`, [value, id]))
      },
      damaged: async ({ table }, id) =>
        (await client.query<object>(`SELECT * FROM ${schema}.${table} WHERE ${whose(table)} = $1`, [id])).rows,
    }
  },
}

const describePostgres = hasPostgres ? describe : describe.skip

describePostgres('postgresInbox', () => {
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())

  describe('conversions', () => describeConversions(postgres))
  describe('claims', () => describeClaims(postgres))
  describe('operators', () => describeOperators(postgres))
  describe('erasing', () => describeErasing(postgres))
  describe('hostile arguments', () => describeHostile(postgres))
  describe('quarantine', () => describeQuarantine(postgres))
  describe('a stuck handler', () => describeStuck(postgres))
  describe('strangers', () => describeStrangers(postgres))
  describe('durability', () => describeDurability(postgres))
  describe('damaged rows', () => describeDamaged(postgres))
  describe('dates', () => describeDates(postgres))
})
