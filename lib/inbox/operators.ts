import { lastErrorOf } from './delivery.js'
import { emailKey, orderKey } from './identity.js'
import type { InboxEntry, InboxHost, InboxQuery, InboxRow, InboxState, Operators } from './inbox.js'
import { eraser, pruner } from './forgetting.js'
import { historyOf } from './history.js'
import { receivedAtOf, scopeOf, type QuarantinedCallback } from './quarantine.js'
import { deliveryId, findDelivery, isEmptied, keyOf, splitDeliveryId, textsOfQuarantined } from './records.js'
import { replayer, requireId, unknownRecord } from './replay.js'
import { badQuery, statistician } from './stats.js'
import type { Position, Store, StoredDelivery } from './store.js'

const quarantineStates: readonly InboxState[] = [
  'refused',
  'conflict',
  'waiting',
  'done',
] satisfies QuarantinedCallback['state'][]
const states: readonly string[] = [...quarantineStates, 'running', 'dead', 'withdrawn']

function isQuarantineState(state: InboxState): state is QuarantinedCallback['state'] {
  return quarantineStates.includes(state)
}

const maxLimit = 1_000

/** The operators over any store. `wake` is called after something was marked. */
export function createOperators(
  store: Store,
  host: () => InboxHost | undefined,
  wake: (identity?: string) => void,
): Operators {
  const rowOf = ({ identity, scope, delivery }: StoredDelivery): InboxRow => {
    const { event, state, callback, attempts, dueAt } = delivery
    const conversion = isEmptied(callback) ? undefined : host()?.conversionOf(callback)
    const lastError = lastErrorOf(delivery)
    return {
      id: deliveryId(identity, keyOf(delivery)),
      kind: 'delivery',
      state,
      event,
      scope,
      receivedAt: new Date(callback.receivedAt),
      ...(conversion && { conversion }),
      params: { ...callback.params },
      attempts,
      ...(state === 'waiting' && { nextAttemptAt: new Date(Math.max(dueAt, callback.receivedAt)) }),
      ...(lastError && { lastError }),
    }
  }

  const rowOfQuarantined = (quarantined: QuarantinedCallback): InboxRow => {
    const { id, kind, state, count } = quarantined
    const row = {
      id,
      kind,
      state,
      scope: scopeOf(quarantined),
      receivedAt: new Date(receivedAtOf(quarantined)),
      lastAt: new Date(quarantined.lastAt),
      count,
      attempts: 0,
    }
    if (quarantined.kind === 'refused') {
      const { code, issues, received } = quarantined
      const { pairs, digest } = received
      return { ...row, params: Object.fromEntries(pairs), code, issues, ...(digest && { digest }) }
    }
    const conversion = host()?.conversionOf(quarantined.callback)
    return { ...row, params: { ...quarantined.callback.params }, ...(conversion && { conversion }) }
  }

  async function find(id: string): Promise<InboxRow | undefined> {
    const [identity, key] = splitDeliveryId(id)
    if (key === undefined) {
      const quarantined = await store.quarantined(id)
      return quarantined && rowOfQuarantined(quarantined)
    }
    const record = await store.record(identity)
    const delivery = record && findDelivery(record, key)
    return delivery && rowOf({ identity, scope: record.scope, delivery })
  }

  async function* quarantineRows(query: InboxQuery, before: Position | undefined): AsyncGenerator<InboxRow> {
    const order = query.orderId === undefined ? undefined : orderKey(query.orderId)
    const email = emailKey(query.email)
    const isWanted = (quarantined: QuarantinedCallback): boolean => {
      const texts = textsOfQuarantined(quarantined)
      return (
        (order === undefined || texts.some((text) => orderKey(text) === order)) &&
        (email === undefined || texts.some((text) => emailKey(text) === email))
      )
    }
    const { state, scope } = query
    if (state !== undefined && !isQuarantineState(state)) return
    // A search may go through all of the quarantine, which its budget bounds: in portions, so that callbacks come in between.
    const limit = 100
    for (let position = before; ;) {
      const page = await store.quarantine({ limit, state, scope, before: position })
      for (const quarantined of page) if (isWanted(quarantined)) yield rowOfQuarantined(quarantined)
      const last = page.at(-1)
      if (last === undefined || page.length < limit) return
      await new Promise(setImmediate)
      position = { id: last.id, receivedAt: receivedAtOf(last) }
    }
  }

  async function list(query: InboxQuery = {}): Promise<readonly InboxRow[]> {
    const limit = checkQuery(query)
    const last = query.before === undefined ? undefined : await find(query.before)
    if (query.before !== undefined && last === undefined) throw unknownRecord()
    const before = last && { id: last.id, receivedAt: last.receivedAt.getTime() }
    const { state, scope } = query
    const orderId = query.orderId === undefined ? undefined : orderKey(query.orderId)
    const email = emailKey(query.email)
    const stored = state === 'conflict' ? [] : await store.deliveries({ limit, state, scope, before, orderId, email })
    const quarantined: InboxRow[] = []
    for await (const row of quarantineRows(query, before)) {
      quarantined.push(row)
      if (quarantined.length === limit) break
    }
    return [...stored.map(rowOf), ...quarantined].sort(newestFirst).slice(0, limit)
  }

  async function get(id: string): Promise<InboxEntry | undefined> {
    requireId(id)
    const row = await find(id)
    if (row === undefined) return undefined
    const quarantined = row.kind === 'delivery' ? undefined : await store.quarantined(id)
    const identity = quarantined ? quarantined.identity : splitDeliveryId(id)[0]
    if (identity === undefined) return { ...row, history: historyOf(undefined, quarantined ? [quarantined] : []) }
    const conflicts = await store.conflicts(identity)
    const kept =
      quarantined && !conflicts.some((conflict) => conflict.id === id) ? [...conflicts, quarantined] : conflicts
    return { ...row, history: historyOf(await store.record(identity), kept) }
  }

  return {
    list,
    get,
    replay: replayer(store, wake),
    stats: statistician(store),
    prune: pruner(store),
    erase: eraser(store),
  }
}

function newestFirst(a: InboxRow, b: InboxRow): number {
  return b.receivedAt.getTime() - a.receivedAt.getTime() || (a.id < b.id ? 1 : -1)
}

function checkQuery({ state, limit = 50, orderId, email, scope, before }: InboxQuery): number {
  if (state !== undefined && !states.includes(state)) throw badQuery(`state is one of ${states.join(', ')}`)
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxLimit) {
    throw badQuery(`limit is a whole number from 1 to ${String(maxLimit)}`)
  }
  for (const [name, value] of Object.entries({ orderId, email, scope, before })) {
    if (value !== undefined && typeof value !== 'string') throw badQuery(`${name} is a text`)
  }
  if (before !== undefined) requireId(before)
  return limit
}
