import { types } from 'node:util'

/** What a function of an option answered. It has to be there at once: a promise throws, and its own rejection is heard. */
export function requireSync(option: string, answer: unknown): unknown {
  if (!types.isPromise(answer)) return answer
  answer.catch(() => undefined)
  throw new TypeError(`${option} must answer at once, not with a promise.`)
}
