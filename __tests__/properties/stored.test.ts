import fc from 'fast-check'
import { hasSqlite, openFile } from '../support/sqlite.js'
import type { Callback } from '../../lib/callback/conversion.js'
import type { Received, RequestVia, Via } from '../../lib/callback/received.js'
import type { ConversionErrorCode } from '../../lib/errors.js'
import { faults } from '../../lib/faults.js'
import { durableBudget, type ConflictRecord, type RefusedRecord } from '../../lib/inbox/quarantine.js'
import type { ClaimRecord, Delivery, DeliveryKey, LogEntry } from '../../lib/inbox/records.js'
import { searchForms } from '../../lib/inbox/search.js'
import { namesOf, type Column } from '../../lib/inbox/stores/columns.js'
import { PostgresRows } from '../../lib/inbox/stores/postgres-rows.js'
import { migrate as migratePostgres } from '../../lib/inbox/stores/postgres-schema.js'
import {
  cellsOf,
  deliveryRow,
  quarantineRow,
  toDelivery,
  toQuarantined,
  toRecord,
  type Row,
} from '../../lib/inbox/stores/rows.js'
import { SqliteQuarantine } from '../../lib/inbox/stores/sqlite-quarantine.js'
import { SqliteRows } from '../../lib/inbox/stores/sqlite-rows.js'
import { migrate as migrateSqlite } from '../../lib/inbox/stores/sqlite-schema.js'
import { claimColumns, deliveryColumns, quarantineColumns } from '../../lib/inbox/stores/tables.js'
import { hasPostgres, serving } from '../support/postgres.js'

/* Whatever a record holds is read again as it was written: through the cells alone, through SQLite and through PostgreSQL. */

/** JSON takes every string, half a surrogate pair and NUL too. */
const anyText = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)), maxLength: 12 })
/** What a column of its own holds: PostgreSQL takes no NUL, and UTF-8 no half of a surrogate pair. */
const plainText = fc.string({ unit: 'grapheme', maxLength: 12 })
const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const small = fc.nat(1_000_000)
const texts = fc.dictionary(anyText, anyText, { maxKeys: 5, noNullPrototype: true })
const status = fc.constantFrom('success', 'fail', 'pending')

const some = <T extends object>(fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> }) =>
  fc.record(fields, { requiredKeys: [] })

const via: fc.Arbitrary<Via> = fc.oneof(
  fc.constant({ by: 'accept' } as const),
  fc
    .tuple(
      fc.constantFrom<RequestVia['method'][]>('GET', 'POST', 'PUT'),
      some({
        contentType: anyText,
        userAgent: anyText,
        credential: fc.constantFrom('path', 'route', 'bearer', 'basic', 'header', 'query'),
        isFromAllowed: fc.boolean(),
      }),
    )
    .map(([method, more]) => ({ by: 'request', method, ...more }) as const),
)
const arrival = some({ via, carrier: fc.string({ maxLength: 512 }) })
const repairs = fc.array(
  fc.record({
    parameter: anyText,
    kind: fc.constantFrom('charset', 'plus', 'second-question-mark', 'amp-entity'),
  }),
  { maxLength: 3 },
)

const callback: fc.Arbitrary<Callback> = fc
  .tuple(fc.record({ status, params: texts, extra: texts, repairs, scope: anyText, receivedAt: time }), arrival)
  .map(([required, more]) => ({ ...required, ...more }))

const code = fc.constantFrom(
  ...Object.keys(faults).filter((each): each is ConversionErrorCode => each.startsWith('ERR_')),
)
const log: fc.Arbitrary<readonly LogEntry[]> = fc.array(
  fc
    .tuple(
      fc.record({
        at: time,
        what: fc.constantFrom('recorded', 'failed', 'held', 'lapsed', 'replayed', 'refused', 'dead'),
      }),
      some({ attempt: small, code, message: anyText }),
    )
    .map(([required, more]) => ({ ...required, ...more })),
  { maxLength: 3 },
)

const keys: readonly DeliveryKey[] = ['success', 'fail', 'pending', 'goalComplete', 'reversal']

const deliveryOf = (key: DeliveryKey, sequence: number): fc.Arbitrary<Delivery> =>
  fc
    .tuple(
      fc.record({
        state: fc.constantFrom('waiting', 'running', 'done', 'dead', 'withdrawn', 'refused'),
        attempts: small,
        holds: small,
        dueAt: time,
        callback,
        log,
      }),
      some({
        heldSince: time,
        startedAt: time,
        firstDate: time,
        heldUntil: time,
        settledAt: time,
        owner: plainText,
        takenBy: plainText,
        takesOrder: fc.constant(true),
        hadNoHandler: fc.constant(true),
        previous: fc.record({ status, goalComplete: fc.boolean() }),
      }),
    )
    .map(([required, more]) => ({
      event: key === 'reversal' ? 'fail' : key,
      reversal: key === 'reversal',
      sequence,
      ...required,
      ...more,
    }))

const hash = fc.string({ unit: fc.nat(15).map((digit) => digit.toString(16)), minLength: 40, maxLength: 40 })
const repeats = fc.record({ count: small, firstAt: time, lastAt: time })
/** The order of the claim is looked up in its callbacks, and is a column. */
const withPlainOrder = (delivery: Delivery, orderID: string): Delivery => ({
  ...delivery,
  callback: { ...delivery.callback, params: { ...delivery.callback.params, orderID } },
})

const record: fc.Arbitrary<ClaimRecord> = fc
  .tuple(
    fc.record({ id: hash, identity: hash, scope: plainText, status, goal: fc.boolean() }),
    some({
      peopleHash: hash,
      referrerEmail: plainText,
      refereeEmail: plainText,
      order: hash,
      purchaseValue: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
      isEmptied: fc.constant(true),
    }),
    some({ duplicate: repeats, stale: repeats }),
    fc.subarray([...keys]).chain((chosen) => fc.tuple(...chosen.map((key, index) => deliveryOf(key, index + 1)))),
    plainText,
  )
  .map(([required, more, counted, deliveries, orderID]) => ({
    ...required,
    ...more,
    repeats: counted,
    deliveries: deliveries.map((delivery) => withPlainOrder(delivery, orderID)),
  }))

const issues = fc.array(
  fc
    .tuple(fc.record({ rule: anyText, message: anyText }), some({ parameter: anyText }))
    .map(([required, more]) => ({ ...required, ...more })),
  { maxLength: 3 },
)
const received: fc.Arbitrary<Received> = fc
  .tuple(
    fc.record({ pairs: fc.array(fc.tuple(anyText, anyText), { maxLength: 4 }), issues, repairs }),
    some({
      untyped: fc.dictionary(anyText, fc.constantFrom('number', 'other'), { maxKeys: 3, noNullPrototype: true }),
      digest: fc.record({ length: small, hash }),
    }),
    arrival,
  )
  .map(([required, more, how]) => ({ ...required, ...more, ...how }))

/** Late enough to be of no row that is too old. */
const late = fc.integer({ min: 4_102_444_800_000, max: Number.MAX_SAFE_INTEGER })
const refused: fc.Arbitrary<RefusedRecord> = fc
  .tuple(
    fc.record({
      kind: fc.constant('refused'),
      id: hash,
      state: fc.constantFrom('refused', 'waiting', 'done'),
      code,
      issues,
      received,
      scope: plainText,
      receivedAt: late,
      count: time,
      lastAt: time,
      log,
    }),
    some({ identity: hash }),
  )
  .map(([required, more]) => ({ ...required, ...more }))

const conflict: fc.Arbitrary<ConflictRecord> = fc.record({
  kind: fc.constant('conflict'),
  id: hash,
  state: fc.constantFrom('conflict', 'done'),
  identity: hash,
  differs: fc.array(
    fc
      .tuple(fc.record({ parameter: anyText }), some({ recorded: anyText, received: anyText }))
      .map(([required, more]) => ({ ...required, ...more })),
    { maxLength: 4 },
  ),
  callback: fc.tuple(callback, plainText, late).map(([each, scope, receivedAt]) => ({ ...each, scope, receivedAt })),
  count: time,
  lastAt: time,
  log,
})
const quarantined = fc.oneof(refused, conflict)

const rowOf = <Source>(columns: readonly Column<Source>[], from: Source): Row =>
  Object.fromEntries(cellsOf(columns, from).map((cell, index) => [namesOf(columns)[index] ?? '', cell]))

test('a claim is read from its cells as it was', () => {
  fc.assert(
    fc.property(record, (each) => {
      const rows = each.deliveries.map((delivery) => rowOf(deliveryColumns, deliveryRow(each.id, delivery, each)))
      expect(toRecord(rowOf(claimColumns, each), rows.map(toDelivery))).toEqual(each)
    }),
  )
})

test('a callback in quarantine is read from its cells as it was', () => {
  fc.assert(
    fc.property(quarantined, (each) => {
      const source = quarantineRow(each, searchForms(each))
      expect(toQuarantined(rowOf(quarantineColumns, source))).toEqual(each)
    }),
  )
})

;(hasSqlite ? test : test.skip)('SQLite keeps them as they were, also when they change', () => {
  const db = openFile(':memory:')
  migrateSqlite(db)
  const rows = new SqliteRows(db, { lead: 0 })
  const kept = new SqliteQuarantine(db, durableBudget)
  const tables = ['claims', 'deliveries', 'quarantine'].map((name) => `DELETE FROM conversion_webhook_${name}`)
  const emptyTables = tables.join(';') // two runs may have the same ids
  fc.assert(
    fc.property(record, record, quarantined, (each, other, callbackKept) => {
      db.exec(emptyTables)
      rows.writeRecord(undefined, each)
      const found = rows.record(each.id)
      expect(found).toEqual(each)
      const next = { ...other, id: each.id }
      rows.writeRecord(found, next)
      expect(rows.record(each.id)).toEqual(next)
      kept.write(undefined, callbackKept)
      expect(kept.find(callbackKept.id)).toEqual(callbackKept)
    }),
  )
  db.close()
})

;(hasPostgres ? describe : describe.skip)('PostgreSQL', () => {
  const server = serving()

  test('keeps claims as they were, also when they change', async () => {
    await migratePostgres(server.client, 'conversion_webhook')
    const rows = new PostgresRows('conversion_webhook')
    const read = async (id: string) => (await rows.records(server.client, [id])).get(id)
    await fc.assert(
      fc.asyncProperty(record, record, async (each, other) => {
        await server.client.query('TRUNCATE conversion_webhook.claims, conversion_webhook.deliveries')
        await rows.write(server.client, [{ before: undefined, after: each }])
        const found = await read(each.id)
        expect(found).toEqual(each)
        const next = { ...other, id: each.id }
        await rows.write(server.client, [{ before: found, after: next }])
        expect(await read(each.id)).toEqual(next)
      }),
      { numRuns: 50 },
    )
  })
})
