import { ConversionWebhookError } from '../../errors.js'
import { aNumber, aString, Unreadable, unreadableIn } from './decoding.js'

/** What a column holds. A driver may give whole numbers as strings. */
export type Cell = string | number | null
export type Row = Readonly<Record<string, unknown>>

/** How the two databases declare a column. */
interface Declared {
  readonly sqlite: string
  readonly postgres: string
}

/** A column of a table: what it is written from, and what it is read into. */
export interface Column<From, To> extends Declared {
  readonly name: string
  readonly isNullable: boolean
  /** The type of an array of its values in PostgreSQL. */
  readonly array: string
  /** The version of the tables that adds it. */
  readonly since: number
  readonly write: (from: From) => Cell
  /** Absent where the column only serves searches. */
  readonly read: ((cell: unknown, to: To) => void) | undefined
}

interface Kind<Value extends Cell> extends Declared {
  /** The type of an array of them in PostgreSQL, where the column is not declared by it alone. */
  readonly array?: string
  readonly of: (cell: unknown) => Value
}

/** A column as tables list it. */
interface Line<From, To, Written, Value> {
  readonly name: string
  readonly write: (from: From) => Written
  readonly read?: (value: Value, to: To) => void
}

/** Makes columns of a kind, and with `orNull` those whose value may be absent. */
function columnsOf<Value extends Cell>({ of, sqlite, postgres, array = postgres }: Kind<Value>) {
  const always = { sqlite, postgres, array, since: 1 }
  const make = <From, To>({ name, write, read }: Line<From, To, Value, Value>): Column<From, To> => ({
    ...always,
    name,
    isNullable: false,
    write,
    read:
      read &&
      ((cell, to) => {
        read(of(cell), to)
      }),
  })
  const orNull = <From, To>({
    name,
    write,
    read,
  }: Line<From, To, Value | undefined, Value>): NullableColumn<From, To> => ({
    ...always,
    name,
    isNullable: true,
    write: (from) => write(from) ?? null,
    read:
      read &&
      ((cell, to) => {
        if (cell !== null) read(of(cell), to)
      }),
  })
  return Object.assign(make, { orNull })
}

/** A column that may be added to a table with rows. */
export interface NullableColumn<From, To> extends Column<From, To> {
  readonly isNullable: true
}

/** A column that a later version of the tables adds: `since(2, text.orNull({ … }))`. There is none yet. @internal */
export function since<From, To>(version: number, column: NullableColumn<From, To>): NullableColumn<From, To> {
  return { ...column, since: version }
}

/** A driver gives whole numbers as strings where they could be too large for a number. */
function numeric(cell: unknown): number {
  return aNumber(typeof cell === 'string' && cell !== '' ? Number(cell) : cell)
}

function whole(cell: unknown): number {
  const value = numeric(cell)
  if (!Number.isSafeInteger(value)) throw new Unreadable()
  return value
}

/** Compared byte by byte: everything is paged by ids in the same order, whatever the collation of the database. */
const bytewise = { postgres: 'text COLLATE "C"', array: 'text' }
export const id = columnsOf({ sqlite: 'TEXT', ...bytewise, of: aString })
export const text = columnsOf({ sqlite: 'TEXT', postgres: 'text', of: aString })
export const count = columnsOf({ sqlite: 'INTEGER', postgres: 'integer', of: whole })
export const total = columnsOf({ sqlite: 'INTEGER', postgres: 'bigint', of: whole })
/** Milliseconds since 1970. */
export const time = columnsOf({ sqlite: 'INTEGER', postgres: 'bigint', of: numeric })
export const amount = columnsOf({ sqlite: 'REAL', postgres: 'double precision', of: numeric })
/** The claim of a delivery: in SQLite its number. */
export const claimKey = columnsOf<string | number>({ sqlite: 'INTEGER', ...bytewise, of: aString })

const one = columnsOf({ sqlite: 'INTEGER', postgres: 'smallint', of: whole })

interface FlagLine<From, To> {
  readonly name: string
  readonly write: (from: From) => boolean | undefined
  /** Called where the flag is set. */
  readonly read?: (to: To) => void
}

/** 1 or nothing, since most flags are not set. */
export function flag<From, To>({ name, write, read }: FlagLine<From, To>): NullableColumn<From, To> {
  return one.orNull({
    name,
    write: (from: From) => (write(from) === true ? 1 : undefined),
    read: (value: number, to: To) => {
      if (value > 1 || value < 0) throw new Unreadable()
      if (value === 1) read?.(to)
    },
  })
}

export function cellsOf<From>(columns: readonly Column<From, never>[], from: From): Cell[] {
  return columns.map(({ write }) => write(from))
}

export function namesOf(columns: readonly Pick<Column<never, never>, 'name'>[]): readonly string[] {
  return columns.map(({ name }) => name)
}

/** Reads a row into `to`. Throws a coded error for a cell that cannot be read; it names the column and not what the cell holds. */
export function readInto<To>(table: string, columns: readonly Column<never, To>[], row: Row, to: To): To {
  let reading = ''
  try {
    for (const { name, read } of columns) {
      if (read === undefined) continue
      reading = name
      read(row[name], to)
    }
  } catch (error) {
    throw error instanceof Unreadable ? unreadableIn(table, reading, error) : error
  }
  return to
}

/** What a table is made of, as `CREATE TABLE` lists it, but for what later versions add. `isRequired` unless they may be null. */
export function definitions(
  columns: readonly Column<never, never>[],
  database: keyof Declared,
  isRequired: (column: Column<never, never>) => boolean = ({ isNullable }) => !isNullable,
): string {
  const defined = columns
    .filter((column) => column.since === 1)
    .map((column) => `${column.name} ${column[database]}${isRequired(column) ? ' NOT NULL' : ''}`)
  return defined.join(',\n    ')
}

/** What a later version adds to a table. */
export function additions(
  table: string,
  columns: readonly Column<never, never>[],
  database: keyof Declared,
  version: number,
): string {
  const added = columns.filter((column) => column.since === version)
  return added.map((column) => `ALTER TABLE ${table} ADD COLUMN ${column.name} ${column[database]};`).join('\n')
}

/** The latest version of tables with these columns. */
export function latestOf(columns: readonly Column<never, never>[]): number {
  return Math.max(...columns.map((column) => column.since))
}

/** Tables of a version that this code does not know. */
export function newer(found: number, known: number): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_INBOX_NEWER', {
    values: { what: 'The inbox has tables', found, known },
  })
}
