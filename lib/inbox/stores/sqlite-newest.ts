import type { StatementSync } from 'node:sqlite'
import { PortionSize } from '../../util/short-turns.js'
import type { Position, Selection } from '../store.js'
import { text, toTime, type Row } from './rows.js'
import { joined, raw, sql, withQuestionMarks, type Sql } from './sql.js'

/** A condition for rows `t` that an index answers in the order of time. The index is named, so that SQLite uses no other. */
export interface Way {
  readonly from: string
  /** The column with the times in that index. */
  readonly time: string
  readonly where: Sql
}

/** The query of one walk through the rows. */
export interface Walk {
  readonly ways: readonly Way[]
  /** An expression for the id of a row `t`. */
  readonly id: string
  /** A further condition; absent if all rows of the ways are wanted. */
  readonly filter: Sql | undefined
  readonly before: Position | undefined
  readonly limit: number
  /** The most rows that are read of each way. */
  readonly portion: number
}

export interface Walked {
  /** How many rows were read. */
  readonly looked: number
  /** The numbers of the wanted rows. */
  readonly numbers: readonly number[]
  /** Where the next walk begins; absent at the end. */
  readonly next?: Position | undefined
}

/** Reads rows newest first. A row may fit two ways, since people refer themselves. */
export function walk(
  prepared: (sql: string) => StatementSync,
  { ways, id, filter, before, limit, portion }: Walk,
): Walked {
  const most = filter === undefined ? Math.min(limit, portion) : portion
  const parts = ways.map(({ from, time, where }) => {
    const [at, position] = [raw(time), raw(id)]
    const isBefore =
      before === undefined
        ? raw('')
        : sql`AND ${at} <= ${before.receivedAt} AND (${at} < ${before.receivedAt} OR ${position} < ${before.id})`
    return sql`SELECT * FROM (SELECT t.number, ${at} AS received_at, ${position} AS id, ${filter ?? raw('1')} AS is_wanted
      FROM ${raw(from)} WHERE ${where} ${isBefore} ORDER BY ${at} DESC, ${position} DESC LIMIT ${most})`
  })
  const statement = sql`${joined(parts, ' UNION ')} ORDER BY received_at DESC, id DESC LIMIT ${most}`
  const rows = prepared(withQuestionMarks(statement)).all(...statement.values)
  const wanted = rows.filter((row) => Number(row.is_wanted) === 1).slice(0, limit)
  const last = rows.at(-1)
  const isMore = last !== undefined && rows.length === most && wanted.length < limit
  return {
    looked: rows.length,
    numbers: wanted.map(({ number }) => Number(number)),
    ...(isMore && { next: { receivedAt: toTime(last.received_at), id: text(last.id) } }),
  }
}

/** A table that is listed. */
export interface Listing<Asked extends Selection, Found> {
  /** The wanted rows of the next portion. */
  walk(selection: Asked, portion: number): Walked
  /** The rows of these numbers, in the same order. */
  rows(numbers: readonly number[]): readonly Found[]
}

/** Rows in the order of a list of their numbers, without those that are gone. */
export function inOrder(numbers: readonly number[], rows: readonly Row[]): readonly Row[] {
  const found = new Map(rows.map((row) => [Number(row.number), row]))
  return numbers.map((number) => found.get(number)).filter((row) => row !== undefined)
}

/** How many rows are read at once: rows are long, and each is parsed. */
const rowsAtATime = 100
/** How many rows one portion looks at: each may be on a page of its own on the disk. */
const firstPortion = 200
const maxPortion = 1_000

/** Lists rows, newest first, in portions, so that callbacks are answered in between. `read` tries again while another process locks the file. */
export async function newest<Asked extends Selection, Found>(
  listing: Listing<Asked, Found>,
  selection: Asked,
  read: <T>(query: () => T) => Promise<T>,
): Promise<readonly Found[]> {
  const found: Found[] = []
  const portion = new PortionSize(firstPortion, maxPortion)
  for (let before = selection.before; ;) {
    const limit = selection.limit - found.length
    const { numbers, next } = await read(() => {
      const startedAt = performance.now()
      const walked = listing.walk({ ...selection, before, limit }, portion.size)
      portion.took(walked.looked, performance.now() - startedAt)
      return walked
    })
    for (let from = 0; from < numbers.length; from += rowsAtATime) {
      if (from > 0) await new Promise(setImmediate)
      found.push(...(await read(() => listing.rows(numbers.slice(from, from + rowsAtATime)))))
    }
    if (next === undefined) return found
    before = next
    await new Promise(setImmediate)
  }
}
