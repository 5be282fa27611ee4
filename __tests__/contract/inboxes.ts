import type { Size } from '../../lib/inbox/quarantine.js'
import {
  conversionWebhook,
  type ConversionContext,
  type ConversionEvent,
  type ConversionHandlers,
  type ConversionWebhookOptions,
  type Inbox,
} from '../../lib/index.js'
import { params } from '../support/callbacks.js'

/** One kind of inbox, with everything that the suites need to test it. */
export interface Kind {
  readonly isDurable: boolean
  /** Number of runs of a property test: higher for a fast inbox. */
  readonly runs?: number
  /** Makes a new storage for one test, with the real budget of the quarantine by default. */
  storage(quarantineBudget?: Size): Promise<Storage>
}

export interface Storage {
  /** Opens an inbox on this storage, each time as another process would. */
  open(): Promise<Inbox>
  dispose(): Promise<void>
  /** Everything that is stored, as one string; absent for an inbox that is not durable. */
  readonly contents?: () => Promise<string>
  /** Makes a handler's effect in the transaction of its delivery, and runs `then` in the same transaction. */
  readonly effect?: (context: ConversionContext, key: string, then?: () => void) => Promise<unknown>
  /** Lets time pass for everything that is stored, by the clock of deliveries; a negative time goes backwards. */
  readonly pass?: (ms: number) => Promise<void>
  /** How many times an effect was committed. */
  readonly effects?: (key: string) => Promise<number>
  /** Writes a value into a column, as somebody would by hand: of all deliveries of a claim, of a claim, or of a quarantined callback. */
  readonly damage?: (damage: Damage, id: string) => Promise<void>
  /** The rows that `damage` has changed. */
  readonly damaged?: (damage: Damage, id: string) => Promise<readonly object[]>
}

export interface Damage {
  readonly table: 'claims' | 'deliveries' | 'quarantine' | 'days'
  readonly column: string
  readonly value: string
}

export interface Told {
  readonly event: ConversionEvent
  readonly id: string
  readonly attempt: number
  readonly orderId: string | undefined
  readonly previous: ConversionContext['previous']
}

type Handle = (told: Told, context: ConversionContext) => unknown

const events = ['onSuccess', 'onFail', 'onPending', 'onGoalComplete'] as const

/** Storages, inboxes and webhooks of one test, closed and removed after the test. */
export function workbench(kind: Kind) {
  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  async function newStorage(quarantineBudget?: Size) {
    const storage = await kind.storage(quarantineBudget)
    closing.push(() => storage.dispose())
    return storage
  }

  /** A webhook whose handlers note their calls, then do what the test says. */
  async function start({
    handle = () => undefined,
    observers = {},
    on = events,
    storage: shared,
    ...options
  }: StartOptions = {}) {
    const storage = shared ?? (await newStorage())
    const inbox = await storage.open()
    const told: Told[] = []
    const waiting = new Set<() => void>()
    const handler = async ({ orderId }: { orderId?: string }, context: ConversionContext): Promise<void> => {
      const { event, id, attempt, previous } = context
      const entry = { event, id, attempt, previous, orderId }
      told.push(entry)
      for (const check of waiting) check()
      await handle(entry, context)
    }
    const handlers = Object.fromEntries(on.map((name) => [name, handler]))
    const webhook = conversionWebhook({ onError: () => undefined, ...handlers, ...observers }, {
      secret: false,
      inbox,
      ...options,
    } as ConversionWebhookOptions)
    closing.push(() => webhook.close())
    return {
      storage,
      inbox,
      webhook,
      told,
      /** Resolves when handlers have been called so many times. */
      toldTimes: (count: number) =>
        new Promise<void>((resolve) => {
          const check = (): void => {
            if (told.length >= count) resolve()
          }
          waiting.add(check)
          check()
        }),
      /** Reports a conversion of an order, by default without the goal. */
      report: (conversion: string, orderID: string, changes: Record<string, string | undefined> = {}) =>
        webhook.accept(params({ conversion, orderID, goal_complete: '0', ...changes })),
    }
  }

  return { start, newStorage }
}

interface StartOptions extends ConversionWebhookOptions {
  readonly handle?: Handle
  readonly observers?: ConversionHandlers
  /** The events that have a handler; all by default. */
  readonly on?: readonly (typeof events)[number][]
  readonly storage?: Storage
}

/** Repeats a query until its result is the one looked for, or the test's time limit ends it. */
export async function eventually<T>(query: () => Promise<T>, isThere: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await query()
    if (isThere(value)) return value
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Resolves when no delivery of an inbox waits or runs any more. */
export function settled(inbox: Inbox) {
  return eventually(
    () => inbox.stats(),
    ({ deliveries }) => deliveries.waiting + deliveries.held + deliveries.running === 0,
  )
}

/** The same by listing rows: after a test has changed rows by hand the counters are wrong. */
export function atRest(inbox: Inbox) {
  return eventually(
    async () => [...(await inbox.list({ state: 'waiting' })), ...(await inbox.list({ state: 'running' }))],
    ({ length }) => length === 0,
  )
}
