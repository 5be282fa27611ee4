import type { Conversion, ConversionContext, ConversionEvent } from '../../lib/index.js'

interface Told {
  readonly event: ConversionEvent
  readonly conversion: Conversion
  readonly context: ConversionContext
}

/** Handlers of all four events that record their arguments. */
export function recorder() {
  const told: Told[] = []
  const tell = (conversion: Conversion, context: ConversionContext): void => {
    told.push({ event: context.event, conversion, context })
  }
  return {
    told,
    events: () => told.map(({ event }) => event),
    handlers: { onSuccess: tell, onFail: tell, onPending: tell, onGoalComplete: tell },
  }
}

/** A promise that the test resolves or rejects. */
export function deferred<T = void>() {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((...ends) => {
    ;[resolve, reject] = ends
  })
  return { promise, resolve, reject }
}

/** Sets environment variables for a test. Returns a function that restores the old values. */
export function withEnvironment(changes: Readonly<Record<string, string | undefined>>): () => void {
  const before = Object.keys(changes).map((name) => [name, process.env[name]] as const)
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) Reflect.deleteProperty(process.env, name)
    else process.env[name] = value
  }
  for (const [name, value] of Object.entries(changes)) set(name, value)
  return () => {
    for (const [name, value] of before) set(name, value)
  }
}
