import { storageError } from '../errors.js'
import { lastErrorOf } from './delivery.js'
import { emailKey, orderKey } from './identity.js'
import type { InboxEntry, InboxHost, InboxQuery, InboxRow, InboxState, Operators } from './inbox.js'
import { eraser, pruner } from './forgetting.js'
import { historyOf } from './history.js'
import { receivedAtOf, scopeOf, searchableTexts, type QuarantinedCallback } from './quarantine.js'
import { badQuery, fieldsOfQuery, isWholeNumber, optionalText, requireId } from './queries.js'
import { deliveryId, findDelivery, isEmptied, keyOf, splitDeliveryId } from './records.js'
import { replayer, unknownRecord } from './replay.js'
import { statistician } from './stats.js'
import type { Position, Store, StoredDelivery } from './store.js'

const quarantineStates: readonly InboxState[] = [
  'refused',
  'conflict',
  'waiting',
  'done',
] satisfies QuarantinedCallback['state'][]
const states: readonly InboxState[] = [...quarantineStates, 'running', 'dead', 'withdrawn']

function isState(state: unknown): state is InboxState {
  return states.some((known) => known === state)
}

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
    const { event, state, callback, attempts, startedAt, dueAt } = delivery
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
      ...(startedAt !== undefined && { startedAt: new Date(startedAt) }),
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
      const texts = searchableTexts(quarantined)
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

  async function list(asked?: InboxQuery): Promise<readonly InboxRow[]> {
    const { limit, ...query } = checkedQuery(asked)
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
    list: coded(list),
    get: coded(get),
    replay: coded(replayer(store, wake)),
    stats: coded(statistician(store)),
    prune: coded(pruner(store)),
    erase: coded(eraser(store)),
  }
}

/** Whatever goes wrong on the way, such as with a row that somebody has written by hand, is a coded error. */
function coded<Asked extends readonly unknown[], Result>(operate: (...asked: Asked) => Promise<Result>) {
  return async (...asked: Asked): Promise<Result> => {
    try {
      return await operate(...asked)
    } catch (error) {
      throw storageError(error)
    }
  }
}

function newestFirst(a: InboxRow, b: InboxRow): number {
  return b.receivedAt.getTime() - a.receivedAt.getTime() || (a.id < b.id ? 1 : -1)
}

const queryNames: readonly string[] = [
  'state',
  'orderId',
  'email',
  'scope',
  'limit',
  'before',
] satisfies (keyof InboxQuery)[]

function checkedQuery(asked: unknown): InboxQuery & { readonly limit: number } {
  const { state, limit = 50, before, ...texts } = fieldsOfQuery(asked, queryNames)
  if (state !== undefined && !isState(state)) throw badQuery(`state is one of ${states.join(', ')}`)
  if (!isWholeNumber(limit, 1, maxLimit)) throw badQuery(`limit is a whole number from 1 to ${String(maxLimit)}`)
  if (before !== undefined) requireId(before)
  return {
    state,
    limit,
    before,
    orderId: optionalText('orderId', texts.orderId),
    email: optionalText('email', texts.email),
    scope: optionalText('scope', texts.scope),
  }
}
