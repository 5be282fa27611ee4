import { ConversionWebhookError } from '../../errors.js'
import { aNumber, aString, Unreadable } from './decoding.js'

/** The content of a column. A driver may give whole numbers as strings. */
export type Cell = string | number | null

/** How the two databases declare a column. */
interface Declared {
  readonly sqlite: string
  readonly postgres: string
}

/** How values of a type stand in a column. */
interface Kind<Value> extends Declared {
  /** The type of an array of such values in PostgreSQL. */
  readonly array: string
  /** Absent if the value is the cell. */
  readonly encode?: (value: Value) => string | number | undefined
  /** Called for a cell that is not null. Throws `Unreadable`. */
  readonly decode: (cell: unknown) => Value
  readonly isNullable: boolean
}

/** A kind of column whose cells may be null. Only such a column can be added to a table with rows. */
type NullableKind<Value> = Kind<Value> & { readonly isNullable: true }

/** A column of a table with rows of a type: data alone, by which `rows.ts` writes and reads. */
export interface Column<Source> extends Declared {
  readonly name: string
  /** The field of a row that the column holds. */
  readonly field: keyof Source & string
  readonly array: string
  readonly encode: ((value: never) => string | number | undefined) | undefined
  /** Absent if the column only serves searches. */
  readonly decode: ((cell: unknown) => unknown) | undefined
  readonly isNullable: boolean
  /** The version of the tables that adds it. */
  readonly since: number
}

type KindOf<Value> = undefined extends Value ? NullableKind<Exclude<Value, undefined>> : Kind<Value>

interface Place {
  /** Whether the column only serves searches and is not read. */
  readonly isWrittenOnly?: boolean
  /** The version of the tables that adds the column. @defaultValue 1 */
  readonly since?: number
}

/** Makes the columns of a table. A field and the kind of its column must have the same type. */
export function columnsOf<Source>() {
  return <Field extends keyof Source & string>(
    name: string,
    field: Field,
    { encode, decode, ...kind }: KindOf<Source[Field]>,
    { isWrittenOnly = false, since = 1 }: Place = {},
  ): Column<Source> => ({ ...kind, name, field, since, encode, decode: isWrittenOnly ? undefined : decode })
}

export function orNull<Value>(kind: Kind<Value>): NullableKind<Value> {
  return { ...kind, isNullable: true }
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

const always = { isNullable: false } as const
/** Compared byte by byte: all pages are in the same order of ids, whatever the collation of the database. */
const bytewise = { postgres: 'text COLLATE "C"', array: 'text', ...always }
const strings = { sqlite: 'TEXT', postgres: 'text', array: 'text', ...always }
const integers = { sqlite: 'INTEGER', decode: whole, ...always }

export const id: Kind<string> = { sqlite: 'TEXT', ...bytewise, decode: aString }
export const text: Kind<string> = { ...strings, decode: aString }
export const count: Kind<number> = { ...integers, postgres: 'integer', array: 'integer' }
export const total: Kind<number> = { ...integers, postgres: 'bigint', array: 'bigint' }
/** Milliseconds since 1970. */
export const time: Kind<number> = { ...total, decode: numeric }
export const amount: Kind<number> = {
  sqlite: 'REAL',
  postgres: 'double precision',
  array: 'double precision',
  decode: numeric,
  ...always,
}
/** The claim of a delivery: in SQLite its number. */
export const claimKey: Kind<string | number> = { sqlite: 'INTEGER', ...bytewise, decode: aString }

/** One word of several. */
export function word<Word extends string>(decode: (value: unknown) => Word): Kind<Word> {
  return { ...strings, decode }
}

/** A value that is encoded as a string; null where it encodes to undefined. */
export function encoded<Value>(
  encode: (value: Value) => string | undefined,
  decode: (text: string) => Value,
): NullableKind<Value> {
  return { ...strings, isNullable: true, encode, decode: (cell) => decode(aString(cell)) }
}

/** 1 or null, since most flags are not set. */
export const flag: NullableKind<boolean> = {
  sqlite: 'INTEGER',
  postgres: 'smallint',
  array: 'smallint',
  isNullable: true,
  encode: (value) => (value ? 1 : undefined),
  decode: (cell) => {
    const value = whole(cell)
    if (value > 1 || value < 0) throw new Unreadable()
    return value === 1
  },
}

/** Any column, whatever its rows. */
export type AnyColumn = Omit<Column<never>, 'field'>

export function namesOf(columns: readonly Pick<AnyColumn, 'name'>[]): readonly string[] {
  return columns.map(({ name }) => name)
}

/** The columns of version 1, as `CREATE TABLE` lists them. `isRequired` unless they may be null. */
export function definitions(
  columns: readonly AnyColumn[],
  database: keyof Declared,
  isRequired: (column: AnyColumn) => boolean = ({ isNullable }) => !isNullable,
): string {
  const defined = columns
    .filter((column) => column.since === 1)
    .map((column) => `${column.name} ${column[database]}${isRequired(column) ? ' NOT NULL' : ''}`)
  return defined.join(',\n    ')
}

/** Tables by name, with their columns. */
type Tables = Readonly<Record<string, readonly AnyColumn[]>>

/** What a later version adds to tables. @internal */
export function additions(tables: Tables, database: keyof Declared, version: number): string {
  const added = Object.entries(tables).flatMap(([table, columns]) =>
    columns
      .filter(({ since }) => since === version)
      .map((column) => `ALTER TABLE ${table} ADD COLUMN ${column.name} ${column[database]};`),
  )
  return added.join('\n')
}

/**
 * The statements that make each later version of the tables from the version before: `migrations` has those of all versions, and `since` of a
 * column adds the columns. Throws `ERR_CONVERSION_INBOX_NEWER` if this code does not know the version that was found.
 */
export function migrationsFrom(found: number, migrations: readonly string[], tables: Tables, database: keyof Declared) {
  const columns = Object.values(tables).flat()
  const known = Math.max(migrations.length, ...columns.map(({ since }) => since))
  const values = { what: 'The inbox has tables', found, known }
  if (found > known) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_NEWER', { values })
  const versions = Array.from({ length: known - found }, (_, index) => found + index + 1)
  return versions.map((version) => {
    const added = version === 1 ? '' : additions(tables, database, version)
    return { version, statements: `${added}\n${migrations[version - 1] ?? ''}` }
  })
}
