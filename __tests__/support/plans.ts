import type { DatabaseSync } from 'node:sqlite'
import type { Client } from 'pg'
import type { Queryable } from '../../lib/inbox/stores/postgres-client.js'

/* How databases run the queries of a store: the indexes that SQLite uses, and the number of rows that PostgreSQL reads. */

/** A connection that records its queries. */
export function watched(db: DatabaseSync) {
  const asked = new Set<string>()
  const prepare = (sql: string) => {
    asked.add(sql)
    return db.prepare(sql)
  }
  return {
    db: Object.assign(Object.create(db) as DatabaseSync, { prepare }),
    /** The plan steps of all queries so far. */
    steps: () =>
      [...asked].flatMap((sql) => db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all()).map(({ detail }) => String(detail)),
  }
}

/** Steps that scan a whole table or index, or that sort, unless they sort rows of the same time or rows that a limit has bounded. */
export function slowSteps(steps: readonly string[]): readonly string[] {
  return steps.filter((step, index) => {
    if (step.startsWith('SCAN')) return !/^SCAN (?:\(subquery|json_each)/.test(step)
    const isOfSubquery = steps[index - 1]?.startsWith('SCAN (subquery') === true
    return step.startsWith('USE TEMP B-TREE') && !step.includes('LAST TERM OF ORDER BY') && !isOfSubquery
  })
}

/** One node of a query plan that PostgreSQL has executed. */
interface Node {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly Plans?: readonly Node[]
}

interface Explained {
  readonly 'QUERY PLAN': readonly { readonly Plan: Node }[]
}

const nodesOf = (node: Node): readonly Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

/** A client that runs its queries with EXPLAIN ANALYZE and counts the table rows that they read. */
export function counting(client: Client) {
  const nodes: Node[] = []
  const explaining: Queryable = {
    async query(sql, values) {
      const { rows } = await client.query<Explained>(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`, values)
      nodes.push(...rows.flatMap((row) => row['QUERY PLAN']).flatMap(({ Plan: plan }) => nodesOf(plan)))
      return client.query(sql, values)
    },
  }
  const rowsOf = (node: Node) =>
    node['Actual Loops'] *
    (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0))
  const scans = (table?: string) =>
    nodes.filter(({ 'Relation Name': name }) => name !== undefined && (table === undefined || name === table))
  return {
    client: explaining,
    /** The number of rows read, of one table or of all. */
    looked: (table?: string) => scans(table).reduce((sum, node) => sum + rowsOf(node), 0),
    /** The kinds of scan that were used. */
    kinds: (table?: string) => scans(table).map((node) => node['Node Type']),
  }
}
