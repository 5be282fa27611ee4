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

/** One kind of inbox under the contract: everything that a suite needs to know of it. */
export interface Kind {
  readonly isDurable: boolean
  /** How often a property is tried; more often where that is cheap. */
  readonly runs?: number
  /** A storage of its own for one test; its quarantine has the real budget unless the test says another. */
  storage(quarantineBudget?: Size): Promise<Storage>
}

export interface Storage {
  /** An inbox on this storage, each time as another process would have it. */
  open(): Promise<Inbox>
  dispose(): Promise<void>
  /** Everything that is stored, as text; absent where nothing outlives the process. */
  readonly contents?: () => Promise<string>
  /** Makes a handler's effect in the transaction of its delivery. `then` runs in it, too. */
  readonly effect?: (context: ConversionContext, key: string, then?: () => void) => Promise<unknown>
  /** Lets time pass for everything that is stored, by the clock that deliveries are due by; backwards where it is negative. */
  readonly pass?: (ms: number) => Promise<void>
  /** How often an effect is there. */
  readonly effects?: (key: string) => Promise<number>
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

/** Storages, inboxes and webhooks of one test, closed and removed behind it. */
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

  /** A webhook whose handlers write down what they are told, then do what the test says. */
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
      /** Resolves when handlers were told so often. */
      toldTimes: (count: number) =>
        new Promise<void>((resolve) => {
          const check = (): void => {
            if (told.length >= count) resolve()
          }
          waiting.add(check)
          check()
        }),
      /** Reports a conversion of an order; without the goal unless it is asked for. */
      report: (conversion: string, orderID: string, changes: Record<string, string | undefined> = {}) =>
        webhook.accept(params({ conversion, orderID, goal_complete: '0', ...changes })),
    }
  }

  return { start, newStorage }
}

interface StartOptions extends ConversionWebhookOptions {
  readonly handle?: Handle
  readonly observers?: ConversionHandlers
  /** Which handlers there are; all of them unless said. */
  readonly on?: readonly (typeof events)[number][]
  readonly storage?: Storage
}

/** Resolves when a query of an inbox gives what is looked for; the test's own time limit ends it otherwise. */
export async function eventually<T>(query: () => Promise<T>, isThere: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await query()
    if (isThere(value)) return value
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** When nothing of an inbox waits or runs any more. */
export function settled(inbox: Inbox) {
  return eventually(
    () => inbox.stats(),
    ({ deliveries }) => deliveries.waiting + deliveries.held + deliveries.running === 0,
  )
}

/** The same, told by the rows: after a test has changed some by hand, which nobody counts. */
export function atRest(inbox: Inbox) {
  return eventually(
    async () => [...(await inbox.list({ state: 'waiting' })), ...(await inbox.list({ state: 'running' }))],
    ({ length }) => length === 0,
  )
}
