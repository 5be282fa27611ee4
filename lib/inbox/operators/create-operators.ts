import { storageError } from '../../errors.js'
import { lastErrorOf } from '../delivery.js'
import type { InboxHost } from '../inbox.js'
import { eraser, pruner } from './prune-and-erase.js'
import { historyOf } from './history.js'
import { claimOfConflict, quarantineStates, receivedAtOf, scopeOf, type QuarantinedCallback } from '../quarantine.js'
import { ShortTurns } from '../../util/short-turns.js'
import { invalidQuery, fieldsOfQuery, optionalString, requireId, requireWholeNumber } from './queries.js'
import { deliveryId, findDelivery, lacksPayload, keyOf, ordersOf, splitDeliveryId } from '../records.js'
import type { ClaimRecord } from '../records.js'
import { replayer, unknownRecord } from './replay.js'
import { statistician } from './stats.js'
import { maxClaims, pageOf, type AnyRow, type Store, type StoredDelivery, type UnreadRow } from '../store.js'
import type { InboxClaim, InboxEntry, InboxQuery, InboxRow, InboxState, Operators } from '../operators.js'
import { emailKey, orderKey } from '../claims.js'
import { hasOrders, otherHolders, type Holders } from '../reservation.js'

const states: readonly InboxState[] = [...quarantineStates, 'running', 'dead', 'withdrawn']

function isOneOf<State extends InboxState>(known: readonly State[], state: unknown): state is State {
  return known.some((each) => each === state)
}

/** The latest time of a `Date`. */
const maxTime = 8.64e15
const maxLimit = 1_000
/** How many rows are made before callbacks get a turn of the event loop. */
const rowsAtATime = 200

/** The operators of any store. `wake` is called after a replay has marked something. */
export function createOperators(
  store: Store,
  host: () => InboxHost | undefined,
  wake: (identity?: string) => void,
): Operators {
  const rowOfDelivery = (stored: StoredDelivery, holders: Holders): InboxRow => {
    const { claim, scope, delivery } = stored
    const { event, state, callback, attempts, startedAt, dueAt, heldUntil } = delivery
    const takenBy = takerOf(stored, holders)
    const conversion = lacksPayload(callback) ? undefined : host()?.conversionOf(callback)
    const lastError = lastErrorOf(delivery)
    return {
      id: deliveryId(claim, keyOf(delivery)),
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
      ...(heldUntil !== undefined && { heldUntil: new Date(heldUntil) }),
      ...(lastError && { lastError }),
      ...(takenBy !== undefined && { takenBy }),
      ...(delivery.takenBy !== undefined && { code: 'ERR_CONVERSION_ORDER_TAKEN' }),
    }
  }

  const rowOfQuarantined = (quarantined: QuarantinedCallback, holders: Holders): InboxRow => {
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
    const { callback, identity, differs } = quarantined
    const conversion = host()?.conversionOf(callback)
    const [other] = otherHolders([identity], id, holders)
    const agreesWith = claimOfConflict(id)
    return {
      ...row,
      params: { ...callback.params },
      differs,
      ...(agreesWith !== undefined && { agreesWith }),
      ...(conversion && { conversion }),
      ...(other && { takenBy: other.claim }),
    }
  }

  /** Finds what has this id: a delivery, or a callback in quarantine. */
  async function find(id: string): Promise<StoredDelivery | QuarantinedCallback | undefined> {
    const [claim, key] = splitDeliveryId(id)
    if (key === undefined) return store.quarantined(id)
    const record = await store.record(claim)
    const delivery = record && findDelivery(record, key)
    return delivery && { claim, identity: record.identity, order: record.order, scope: record.scope, delivery }
  }

  async function rowsOf(found: readonly AnyRow[]): Promise<readonly InboxRow[]> {
    const rows: InboxRow[] = []
    const pace = new ShortTurns()
    for (let from = 0; from < found.length; from += rowsAtATime) {
      const some = found.slice(from, from + rowsAtATime)
      const orders = some.flatMap((each) =>
        'delivery' in each ? ordersOf(each) : 'identity' in each ? each.identity : [],
      )
      const holders = await store.holders([...new Set(orders)])
      for (const each of some) {
        if ('unread' in each) rows.push(rowOfUnread(each))
        else rows.push('delivery' in each ? rowOfDelivery(each, holders) : rowOfQuarantined(each, holders))
      }
      await pace.step()
    }
    return rows
  }

  /** Where the page before ended. A position is known even of a row that cannot be read. */
  async function positionOf(id: string) {
    const receivedAt = await store.receivedAt(id)
    if (receivedAt === undefined) throw unknownRecord()
    return { id, receivedAt }
  }

  async function list(asked?: InboxQuery): Promise<readonly InboxRow[]> {
    const { state, before: last, ...query } = checkedQuery(asked)
    const selection = { ...query, before: last === undefined ? undefined : await positionOf(last) }
    const stored = state === 'conflict' ? [] : await store.deliveries({ ...selection, state })
    const isKept = state === undefined || isOneOf(quarantineStates, state)
    const kept = isKept ? await store.quarantine({ ...selection, state }) : []
    return rowsOf(pageOf([...stored, ...kept], { limit: query.limit }))
  }

  async function get(id: string): Promise<InboxEntry | undefined> {
    requireId(id)
    const found = await find(id)
    const [row] = await rowsOf(found === undefined ? [] : [found])
    if (found === undefined || row === undefined) return undefined
    const { identity } = found
    const asked = 'delivery' in found ? [] : [found]
    if (identity === undefined) return { ...row, claims: [], history: historyOf([], asked) }
    const { claims, holders } = await claimsOf(identity, row)
    const conflicts = await store.conflicts(identity)
    const others = asked.filter((each) => !conflicts.some((conflict) => conflict.id === each.id))
    return {
      ...row,
      claims: claims.map((each) => toClaim(each, holders)),
      history: historyOf(claims, [...conflicts, ...others]),
    }
  }

  /**
   * The claims of an identity, the claims of other identities that have one of their orders, and who has which order. Of more than
   * `maxClaims`, the row's own, the identity's first and those that have an order are kept, then the oldest.
   */
  async function claimsOf(identity: string, { id, agreesWith, takenBy }: InboxRow) {
    const asked = [identity, splitDeliveryId(id)[0], agreesWith, takenBy]
    const own = await withClaims(await store.claims(identity), asked)
    const others = [...(await holdersOf(own)).values()].map(({ claim }) => claim)
    const all = await withClaims(own, others)
    const needed = new Set([...asked, ...others])
    let room = maxClaims - all.filter((claim) => needed.has(claim.id)).length
    const claims = all.filter((claim) => needed.has(claim.id) || room-- > 0)
    return { claims, holders: await holdersOf(claims) }
  }

  async function withClaims(
    claims: readonly ClaimRecord[],
    ids: readonly (string | undefined)[],
  ): Promise<readonly ClaimRecord[]> {
    const known = new Set(claims.map(({ id }) => id))
    const missing = new Set(ids.filter((id) => id !== undefined).filter((id) => !known.has(id)))
    const more = await Promise.all([...missing].map((id) => store.record(id)))
    return [...claims, ...more.filter((record) => record !== undefined)]
  }

  function holdersOf(claims: readonly ClaimRecord[]): Promise<Holders> {
    return store.holders([...new Set(claims.flatMap(ordersOf))])
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

/** Gives every rejection of an operator a code, also one that a damaged row causes. */
function coded<Asked extends readonly unknown[], Result>(operate: (...asked: Asked) => Promise<Result>) {
  return async (...asked: Asked): Promise<Result> => {
    try {
      return await operate(...asked)
    } catch (error) {
      throw storageError(error)
    }
  }
}

/**
 * The other claim that has the order of a delivery. If no order was ever reserved for the delivery's own claim, the order's number in the
 * shop is unknown: then at least the claim that had the order when the delivery was refused.
 */
function takerOf(stored: StoredDelivery, holders: Holders): string | undefined {
  const [other] = otherHolders(ordersOf(stored), stored.claim, holders)
  return other?.claim ?? (stored.order === undefined ? stored.delivery.takenBy : undefined)
}

function toClaim(record: ClaimRecord, holders: Holders): InboxClaim {
  const { id, status, referrerEmail, refereeEmail, purchaseValue } = record
  return {
    id,
    status,
    hasOrder: hasOrders(record, holders),
    ...(referrerEmail !== undefined && { referrerEmail }),
    ...(refereeEmail !== undefined && { refereeEmail }),
    ...(purchaseValue !== undefined && { purchaseValue }),
  }
}

function rowOfUnread({ receivedAt, unread: { code }, ...row }: UnreadRow): InboxRow {
  const at = new Date(Math.min(receivedAt, maxTime))
  return { ...row, state: 'unreadable', receivedAt: at, params: {}, code, attempts: 0 }
}

const queryNames = ['state', 'orderId', 'email', 'scope', 'limit', 'before'] satisfies (keyof InboxQuery)[]

/** The query with order id and address as they are compared. */
function checkedQuery(asked: unknown): InboxQuery & { readonly limit: number } {
  const { state, limit = 50, before, ...texts } = fieldsOfQuery(asked, queryNames)
  const orderId = optionalString('orderId', texts.orderId)
  if (state !== undefined && !isOneOf(states, state)) throw invalidQuery('state', `be one of ${states.join(', ')}`)
  requireWholeNumber('limit', limit, maxLimit)
  if (before !== undefined) requireId(before)
  return {
    state,
    limit,
    before,
    orderId: orderId === undefined ? undefined : orderKey(orderId),
    email: emailKey(optionalString('email', texts.email)),
    scope: optionalString('scope', texts.scope),
  }
}
