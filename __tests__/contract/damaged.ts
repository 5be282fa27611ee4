import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import { refused } from '../support/refused.js'
import { settled, workbench, type Damage, type Kind } from './inboxes.js'

/** Operators of an inbox in which somebody has changed one value by hand: of the order B, or of the second refused callback. */
export function describeDamaged(kind: Kind): void {
  const { start } = workbench(kind)
  const email = 'jane@example.com'
  const secret = `not to be repeated ${email}`

  /** Deliveries of four orders and four refused callbacks, all of which mention the address. */
  async function damaged(damage: Damage) {
    const { inbox, report, storage } = await start()
    const claims: Record<string, string> = {}
    for (const order of ['A', 'B', 'C', 'D']) {
      const { id } = await report('success', order, { referee_email: email })
      claims[order] = id
      await inbox.quarantine(
        refused([...Object.entries({ orderID: order, referee_email: email })], { receivedAt: Date.now() }),
      )
      await wait(2)
    }
    await settled(inbox)
    await wait(2)
    const rows = await inbox.list()
    const quarantined = rows.find(({ kind, params }) => kind === 'refused' && params.orderID === 'B')?.id ?? ''
    const id = damage.table === 'quarantine' ? quarantined : String(claims.B)
    await storage.damage?.(damage, id)
    return { inbox, storage, claims, id, listed: rows.map((row) => row.id), counted: await inbox.stats({ days: 2 }) }
  }

  const code = 'ERR_CONVERSION_INBOX_CORRUPT'
  const inDeliveries: readonly Damage[] = [
    { table: 'deliveries', column: 'callback', value: secret },
    { table: 'deliveries', column: 'callback', value: '{"v":2}' },
    { table: 'deliveries', column: 'log', value: secret },
    { table: 'deliveries', column: 'event_key', value: 'unknown' },
  ]
  const inQuarantine: readonly Damage[] = [
    { table: 'quarantine', column: 'body', value: secret },
    { table: 'quarantine', column: 'code', value: secret },
    { table: 'quarantine', column: 'kind', value: 'unknown' },
  ]
  const inClaims: readonly Damage[] = [
    { table: 'claims', column: 'status', value: 'unknown' },
    { table: 'claims', column: 'repeats', value: secret },
  ]
  /** No listing finds such a row, but a search for its order or address. */
  const inStates: readonly Damage[] = [{ table: 'quarantine', column: 'state', value: 'unknown' }]
  const named = (damages: readonly Damage[]) =>
    damages.map((damage) => [damage.table, damage.column, damage.value, damage] as const)

  test.each(named([...inDeliveries, ...inQuarantine]))(
    'list shows a row with a damaged value as unreadable, and all others: %s.%s %s',
    async (_table, _column, value, damage) => {
      const { inbox, id, listed } = await damaged(damage)
      const rows = await inbox.list()
      expect(rows).toHaveLength(listed.length)
      const unreadable = rows.filter(({ state }) => state === 'unreadable')
      const isNewer = value === '{"v":2}'
      expect(unreadable).toMatchObject([
        { kind: damage.table === 'quarantine' ? 'refused' : 'delivery', attempts: 0, params: {}, scope: '' },
      ])
      expect(unreadable[0]?.id.startsWith(id)).toBe(true)
      expect(unreadable[0]?.code).toBe(isNewer ? 'ERR_CONVERSION_INBOX_NEWER' : code)
      expect(inspect(unreadable)).not.toContain(email)
      const paged: string[] = []
      for (let before: string | undefined; ;) {
        const [row] = await inbox.list({ limit: 1, before })
        if (row === undefined) break
        paged.push((before = row.id))
      }
      expect(paged).toEqual(rows.map((row) => row.id))
    },
  )

  test.each(named([...inDeliveries, ...inQuarantine, ...inClaims, ...inStates]))(
    'prune does the rest, then rejects and says what is left: %s.%s %s',
    async (_table, column, _value, damage) => {
      const { inbox, storage, claims, id } = await damaged(damage)
      const before = await storage.damaged?.(damage, id)
      const error = await inbox.prune({ olderThanDays: 0 }).catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code, message: expect.stringContaining(id) as string })
      expect(error).toMatchObject({ message: expect.stringContaining(`The column ${column} of`) as string })
      expect(inspect(error, { depth: null })).not.toContain(email)
      const orders = damage.table === 'quarantine' ? ['A', 'B', 'C', 'D'] : ['A', 'C', 'D']
      for (const order of orders) expect((await inbox.get(`${String(claims[order])}:success`))?.params).toEqual({})
      expect(await inbox.list({ state: 'refused' })).toHaveLength(
        damage.table === 'quarantine' && column !== 'state' ? 1 : 0,
      )
      expect(await storage.damaged?.(damage, id)).toEqual(before)
    },
  )

  test.each(named([...inDeliveries, ...inQuarantine, ...inClaims, ...inStates]))(
    'erase does the rest, then rejects and says what is left: %s.%s %s',
    async (_table, column, _value, damage) => {
      const { inbox, storage, claims, id } = await damaged(damage)
      const before = await storage.damaged?.(damage, id)
      const error = await inbox.erase({ email }).catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code, message: expect.stringContaining(id) as string })
      expect(error).toMatchObject({ message: expect.stringContaining(`The column ${column} of`) as string })
      expect(inspect(error, { depth: null })).not.toContain(email)
      const orders = damage.table === 'quarantine' ? ['A', 'B', 'C', 'D'] : ['A', 'C', 'D']
      for (const order of orders) expect((await inbox.get(`${String(claims[order])}:success`))?.params).toEqual({})
      expect(await inbox.list({ state: 'refused' })).toHaveLength(
        damage.table === 'quarantine' && column !== 'state' ? 1 : 0,
      )
      expect(await storage.damaged?.(damage, id)).toEqual(before)
    },
  )

  test('erase rejects where the state of a delivery is damaged, and leaves that claim', async () => {
    const { inbox, id } = await damaged({ table: 'deliveries', column: 'state', value: 'unknown' })
    await expect(inbox.erase({ email })).rejects.toMatchObject({ code, message: expect.stringContaining(id) as string })
    expect(await inbox.list({ orderId: 'B' })).toMatchObject([{ state: 'unreadable' }])
  })

  test('stats counts a day under an event that is not known as unreadable', async () => {
    const { inbox, counted } = await damaged({ table: 'days', column: 'event_key', value: 'unknown' })
    expect(counted.perDay?.at(-1)).toMatchObject({ success: 0, fail: 0, pending: 0, unreadable: 4 })
    expect(await inbox.stats()).toMatchObject({ deliveries: { done: 4 } })
  })
}
