import { searchForms } from '../../lib/inbox/search.js'
import { namesOf, type Column } from '../../lib/inbox/stores/columns.js'
import {
  cellsOf,
  deliveryRow,
  quarantineRow,
  toDelivery,
  toQuarantined,
  toRecord,
  type Row,
} from '../../lib/inbox/stores/rows.js'
import { encodeCallback } from '../../lib/inbox/stores/stored.js'
import { claimColumns, deliveryColumns, quarantineColumns } from '../../lib/inbox/stores/tables.js'
import { goldenClaims, goldenQuarantine } from '../fixtures/stored-1.js'
import { callbackOf } from '../support/ledger.js'

/* Golden rows: what version 1 stores means the same for ever, and is stored the same, whatever the types of records are called. */

const rowOf = <Source>(columns: readonly Column<Source>[], from: Source): Row =>
  Object.fromEntries(cellsOf(columns, from).map((cell, index) => [namesOf(columns)[index] ?? '', cell]))

describe.each(Object.entries(goldenClaims))('%s', (_what, { record, claim, deliveries }) => {
  test('is read from the stored cells', () => {
    const read = deliveries.map((cells) => toDelivery({ claim: record.id, ...cells }))
    expect(toRecord(claim, read)).toStrictEqual(record)
  })

  test('is stored as the same cells', () => {
    expect(rowOf(claimColumns, record)).toStrictEqual(claim)
    const rows = record.deliveries.map((delivery) => rowOf(deliveryColumns, deliveryRow(record.id, delivery, record)))
    expect(rows).toEqual(deliveries.map((cells) => ({ claim: record.id, ...cells })))
  })
})

describe.each(Object.entries(goldenQuarantine))('%s', (_what, { record, row }) => {
  test('is read from the stored cells', () => {
    expect(toQuarantined(row)).toStrictEqual(record)
  })

  test('is stored as the same cells', () => {
    expect(rowOf(quarantineColumns, quarantineRow(record, searchForms(record)))).toStrictEqual(row)
  })
})

test('trace context that is too long is not kept, rather than cut', () => {
  const of = (length: number) => encodeCallback({ ...callbackOf('success'), carrier: 'x'.repeat(length) })
  expect(of(512)).toContain(`"carrier":"${'x'.repeat(512)}"`)
  expect(of(513)).not.toContain('carrier')
})

describe('a stored value that cannot be read', () => {
  const secret = 'jane@shop.example'
  const everything = goldenClaims['a claim with everything']
  const [delivery = {}] = everything?.deliveries ?? []
  const refused = goldenQuarantine['a refused callback with everything']?.row ?? {}
  const conflict = goldenQuarantine['a conflict']?.row ?? {}
  const readers: readonly (readonly [string, string, Row, (row: Row) => unknown])[] = [
    ['deliveries', 'callback', delivery, toDelivery],
    ['deliveries', 'previous', delivery, toDelivery],
    ['deliveries', 'log', delivery, toDelivery],
    ['claims', 'repeats', everything?.claim ?? {}, (row) => toRecord(row, [])],
    ['quarantine', 'issues', refused, toQuarantined],
    ['quarantine', 'body', refused, toQuarantined],
    ['quarantine', 'differs', conflict, toQuarantined],
    ['quarantine', 'body', conflict, toQuarantined],
  ]

  const codeOf = (read: () => unknown) => {
    try {
      read()
    } catch (error) {
      expect(String(error)).not.toContain(secret)
      expect(error).not.toHaveProperty('cause')
      return error as { code: string; message: string }
    }
    throw new Error('It was read.')
  }

  const damages: Readonly<Record<string, (text: string) => unknown>> = {
    'is no JSON': (text) => `${text}${secret}`,
    'is cut': (text) => text.slice(0, -1),
    'is empty': () => '',
    'is null': () => 'null',
    'is a string': () => JSON.stringify(secret),
    'is an array': (text) => `[${text}]`,
    'has no version': (text) => text.replace('"v":1,', ''),
    'has a version that is a string': (text) => text.replace('"v":1', '"v":"1"'),
    'has version 0': (text) => text.replace('"v":1', '"v":0'),
    'has version 0.5': (text) => text.replace('"v":1', '"v":0.5'),
    'has a field that is not known': (text) => text.replace('"v":1', `"v":1,"${secret}":1`),
    'is not there': () => undefined,
    'is a number': () => 1,
  }

  test.each(readers)('in %s.%s names its column, and not what it holds', (table, column, row, read) => {
    for (const [what, damage] of Object.entries(damages)) {
      const damaged = { ...row, [column]: damage(String(row[column])) }
      const { code, message } = codeOf(() => read(damaged))
      expect([what, code]).toEqual([what, 'ERR_CONVERSION_INBOX_CORRUPT'])
      expect(message).toContain(`The column ${column} of ${table} holds a value that is damaged`)
    }
  })

  test.each(readers)('in %s.%s of a later version says so', (table, column, row, read) => {
    const later = { ...row, [column]: String(row[column]).replace('"v":1', '"v":2') }
    const { code, message } = codeOf(() => read(later))
    expect(code).toBe('ERR_CONVERSION_INBOX_NEWER')
    expect(message).toContain(`The column ${column} of ${table} holds a value of version 2`)
  })

  const cells: readonly (readonly [string, Row, (row: Row) => unknown, Row])[] = [
    ['status', everything?.claim ?? {}, (row) => toRecord(row, []), { status: secret }],
    ['goal', everything?.claim ?? {}, (row) => toRecord(row, []), { goal: 2 }],
    ['purchase_value', everything?.claim ?? {}, (row) => toRecord(row, []), { purchase_value: secret }],
    ['event_key', delivery, toDelivery, { event_key: secret }],
    ['state', delivery, toDelivery, { state: 'constructor' }],
    ['attempts', delivery, toDelivery, { attempts: 1.5 }],
    ['attempts', delivery, toDelivery, { attempts: null }],
    ['due_at', delivery, toDelivery, { due_at: '' }],
    ['kind', conflict, toQuarantined, { kind: secret }],
    ['state', refused, toQuarantined, { state: secret }],
    ['kind', refused, toQuarantined, { state: 'conflict' }],
    ['kind', refused, toQuarantined, { code: null }],
    ['kind', conflict, toQuarantined, { identity: null }],
    ['kind', conflict, toQuarantined, { state: 'waiting' }],
    ['code', refused, toQuarantined, { code: 'WRN_CONVERSION_SECRET_MISSING' }],
    ['code', refused, toQuarantined, { code: 'ERR_CONVERSION_UNKNOWN' }],
    ['log', delivery, toDelivery, { log: '{"v":1,"log":[{"at":1,"what":"toString"}]}' }],
    ['log', delivery, toDelivery, { log: '{"v":1,"log":[{"at":"1","what":"held"}]}' }],
    ['callback', delivery, toDelivery, { callback: '{"v":1,"at":1,"status":"success","params":{"a":1}}' }],
    [
      'callback',
      delivery,
      toDelivery,
      { callback: '{"v":1,"at":1,"status":"success","params":{},"via":{"by":"DELETE"}}' },
    ],
    [
      'callback',
      delivery,
      toDelivery,
      { callback: '{"v":1,"at":1,"status":"success","params":{},"repairs":[["no","x"]]}' },
    ],
    ['body', refused, toQuarantined, { body: '{"v":1,"pairs":[["a"]]}' }],
    ['body', refused, toQuarantined, { body: '{"v":1,"pairs":[],"untyped":{"a":"string"}}' }],
  ]
  test.each(cells)('in %s: %#', (column, row, read, damage) => {
    const { code, message } = codeOf(() => read({ ...row, ...damage }))
    expect(code).toBe('ERR_CONVERSION_INBOX_CORRUPT')
    expect(message).toContain(`The column ${column} of `)
  })
})
